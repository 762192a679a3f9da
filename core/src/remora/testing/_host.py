"""
A host for tests: scripted plugins, a manager that calls them, and what happens to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import anyio

from remora._manager import Manager
from remora.testing._recorder import EventRecorder
from remora.testing._scripted import ScriptedTransport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from anyio.abc import TaskStatus

    from remora.testing._scripted import ScriptedPlugin

__all__ = ["TestHost"]


class TestHost:
    """
    A manager of scripted plugins, and a record of its events. The fixture `remora_host` is one::

        pay = remora_host.plugin("pay", retry={"max_retries": 2})
        pay.script("charge", Fail(Unavailable("busy")), Answer({"receipt": "r1"}))
        manager = await remora_host.start()
    """

    __test__ = False  # its name is no test's

    def __init__(self) -> None:
        self.events: EventRecorder = EventRecorder()
        self._transport = ScriptedTransport()
        self._tables: dict[str, dict[str, object]] = {}
        self._has_started = False
        self._group = anyio.create_task_group()
        self._closing = anyio.Event()

    def plugin(self, name: str, **table: object) -> ScriptedPlugin:
        """
        Add a scripted plugin to the configuration that `start` uses, and return it. After the start, one that has been
        added is returned again.

        Args:
            name: Its name in the configuration.
            **table: Other keys of its table, such as `retry={"max_retries": 0}`.

        Raises:
            RuntimeError: The host has started, so that its configuration cannot be changed here any more.
        """
        if self._has_started:
            if table or name not in self._tables:
                raise RuntimeError(
                    f"plugin({name!r}) comes after start(), which has read the configuration; call it before"
                )
            return self._transport.plugin(name)
        self._tables[name] = {"endpoint": f"script:{name}", **table}
        return self._transport.plugin(name)

    async def start(self, config: Mapping[str, Any] | None = None, *, extensions: Sequence[object] = ()) -> Manager:
        """
        A running manager of all scripted plugins; it is closed at the end of the test.

        Args:
            config: More configuration; its `plugins` are added to the scripted ones.
            extensions: Hook modules or objects, in addition to those that are installed.
        """
        self._has_started = True
        given = dict(config or {})
        plugins = {**self._tables, **given.pop("plugins", {})}
        used = [self._transport.extension, self.events, *extensions]
        manager = Manager({**given, "plugins": plugins}, extensions=used)
        await self._group.start(self._live, manager)
        return manager

    async def _live(self, manager: Manager, *, task_status: TaskStatus[None]) -> None:
        """
        The life of a manager, in a task of its own: a test may start it inside of any cancel scope.
        """
        async with manager:
            task_status.started()
            await self._closing.wait()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing.set()
        await self._group.__aexit__(exc_type, exc, traceback)
