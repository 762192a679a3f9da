"""
A transport whose plugins do what a test says: answer late, fail, hang, refuse connections, become unhealthy, die.
"""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from remora.codecs import JsonCodec
from remora.errors import ConnectionLost, RemoraError, Unavailable
from remora.specs import TransportSpec
from remora.testing._registration import NoOptions, TransportExtension
from remora.testing._script import Script
from remora.testing._steps import Answer, Crash, Drop, Fail, Hang
from remora.types import HealthStatus, Reply, Status

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from remora.protocols import Dispatch, Listener
    from remora.testing._steps import Step
    from remora.types import Call, Endpoint

__all__ = ["ScriptedPlugin", "ScriptedTransport"]


class ScriptedPlugin:
    """
    A plugin that echoes what it is sent, unless its attributes are changed or it has a script::

        plugin.script("charge", Fail(Unavailable("busy")), Answer({"receipt": "r1"}))
        plugin.at(3, Crash())

    Attributes:
        latency: Seconds that a call takes.
        failure: Makes the error that a call ends with, after its latency; None to answer.
        is_hanging: Whether calls never end.
        is_refusing: Whether connections are refused.
        start_time: Seconds that connecting takes.
        stop_time: Seconds that closing takes.
        health: What a probe is answered; None when probes hang.
        calls: The calls that arrived, each as a pair of its time (`anyio.current_time`) and the call.
        probes: The times at which it was probed.
        tries: The times at which somebody tried to connect to it.
        opened: How many connections there were in all.
        active: How many calls are being answered now.
        most_active: The most that were being answered at once.
    """

    def __init__(self) -> None:
        self.latency: float = 0.0
        self.failure: Callable[[], RemoraError] | None = None
        self.is_hanging = False
        self.is_refusing = False
        self.start_time: float = 0.0
        self.stop_time: float = 0.0
        self.health: HealthStatus | None = HealthStatus(status=Status.HEALTHY)
        self.calls: list[tuple[float, Call]] = []
        self.probes: list[float] = []
        self.tries: list[float] = []
        self.opened: int = 0
        self.active: int = 0
        self.most_active: int = 0
        self._script = Script()
        self._under_way: dict[anyio.CancelScope, None] = {}
        self._lost = anyio.Event()

    def script(self, method: str, *steps: Step) -> None:
        """
        Say what it does with the next calls of a method.

        Args:
            method: The method; empty for any.
            *steps: One step for each call.
        """
        self._script.add(method, steps)

    def always(self, method: str, step: Step) -> None:
        """
        Say what it does with every call of a method that no other step is for.

        Args:
            method: The method; empty for any.
            step: What it does.
        """
        self._script.repeat(method, step)

    def at(self, number: int, step: Step) -> None:
        """
        Say what it does with one call, whatever the method.

        Args:
            number: Which of its calls, counted from 1.
            step: What it does.
        """
        self._script.at(number, step)

    def requests(self, method: str = "") -> list[Any]:
        """
        The requests that it got, decoded from JSON: those of one method, or all.
        """
        return [json.loads(call.payload) for _, call in self.calls if method in ("", call.method)]

    def crash(self) -> None:
        """
        End its channel and the calls on it, as a dying process does. Set `is_refusing` to keep it from coming back.
        """
        lost, self._lost = self._lost, anyio.Event()
        lost.set()
        for scope in tuple(self._under_way):
            scope.cancel()

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[_Channel]:
        self.tries.append(anyio.current_time())
        await anyio.sleep(self.start_time)
        if self.is_refusing:
            raise Unavailable("connection refused", sent=False)
        self.opened += 1
        yield _Channel(self, self._lost)
        await anyio.sleep(self.stop_time)

    async def _answer(self, call: Call) -> Reply:
        self.calls.append((anyio.current_time(), call))
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        with anyio.CancelScope() as scope:
            self._under_way[scope] = None
            try:
                return await self._follow(call, self._script.next(len(self.calls), call.method))
            finally:
                self.active -= 1
                del self._under_way[scope]
        raise ConnectionLost("the plugin is gone")

    async def _follow(self, call: Call, step: Step | None) -> Reply:
        if step is not None:
            return await self._perform(step, call)
        await (anyio.sleep_forever() if self.is_hanging else anyio.sleep(self.latency))
        if self.failure is not None:
            raise self.failure()
        return Reply(payload=call.payload, content_type=call.content_type)

    async def _perform(self, step: Step, call: Call) -> Reply:
        await (anyio.sleep_forever() if isinstance(step, Hang) else anyio.sleep(step.after))
        if isinstance(step, Crash):
            self.crash()
        if isinstance(step, Crash | Drop | Hang):
            raise ConnectionLost("the plugin is gone")
        if isinstance(step, Fail):
            raise step.error if isinstance(step.error, RemoraError) else step.error()
        if isinstance(step, Answer):
            made = step.value(json.loads(call.payload)) if callable(step.value) else step.value
            return Reply(payload=JsonCodec().encode(made))
        return Reply(payload=call.payload, content_type=call.content_type)


class _Channel:
    def __init__(self, plugin: ScriptedPlugin, lost: anyio.Event) -> None:
        self._plugin = plugin
        self._lost = lost

    async def call(self, call: Call, /) -> Reply:
        if self._lost.is_set():
            raise ConnectionLost("the plugin is gone", sent=False)
        return await self._plugin._answer(call)

    async def probe(self) -> HealthStatus:
        self._plugin.probes.append(anyio.current_time())
        await anyio.lowlevel.checkpoint()
        if self._plugin.health is None:
            await anyio.sleep_forever()
        assert self._plugin.health is not None
        return self._plugin.health

    async def wait_closed(self) -> RemoraError | None:
        await self._lost.wait()
        return ConnectionLost("the plugin is gone")


class ScriptedTransport:
    """
    Carries calls to scripted plugins, at addresses such as `script:one`.

    Pass `transport.extension` to `Manager(..., extensions=[...])`.
    """

    def __init__(self) -> None:
        self._plugins: dict[str, ScriptedPlugin] = {}

    @property
    def extension(self) -> object:
        """
        An extension that registers it.
        """
        return TransportExtension(self.spec)

    @property
    def spec(self) -> TransportSpec[NoOptions]:
        """
        A spec whose `build` always returns this object.
        """
        return TransportSpec(name="script", schemes=("script",), options=NoOptions, build=lambda _: self)

    def plugin(self, address: str) -> ScriptedPlugin:
        """
        The plugin at an address; a new one when there is none.
        """
        return self._plugins.setdefault(address, ScriptedPlugin())

    def open(self, endpoint: Endpoint, /) -> AbstractAsyncContextManager[_Channel]:
        """
        A channel to the plugin at the endpoint.
        """
        return self.plugin(endpoint.address)._open()

    def listen(self, endpoint: Endpoint, dispatch: Dispatch, /) -> AbstractAsyncContextManager[Listener]:
        """
        Not supported: scripted plugins are called, not served. `MemoryTransport` serves.

        Raises:
            Unavailable: Always.
        """
        raise Unavailable("scripted plugins are not served", sent=False)
