"""
A host as a process: its signals, its endpoints, and its end.
"""

from __future__ import annotations

import logging
import signal
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from remora import Manager
from remora.config import trace_config
from remora.errors import ConfigError, RemoraError
from remora_admin._server import serving_admin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from anyio.abc import TaskGroup

    from remora import Secret

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_log = logging.getLogger("remora.run")  # below the logger whose level is `log_level`


class Host:
    """
    One run of a host.

    Args:
        config: The file or directory of its configuration.
        host: The address of its endpoints.
        port: Their port; 0 for any that is free.
        watch: Whether changes of the configuration are followed.
        admin_token: Whoever sends it may restart, drain and reload.
    """

    def __init__(self, config: str, *, host: str, port: int, watch: bool, admin_token: Secret | None) -> None:
        self._config = config
        self._host, self._port = host, port
        self._admin_token = admin_token
        self._watch = watch
        self._manager: Manager
        self._started = anyio.Event()
        self._stopping = anyio.Event()

    async def run(self, announce: Callable[[str, list[str]], None]) -> None:
        """
        Run until a signal ends it.

        Args:
            announce: Called with the address of the endpoints and the names of the plugins, once they are there.

        Raises:
            RemoraError: It cannot be started; the message says why.
        """
        errors: list[Exception] = []
        with anyio.open_signal_receiver(*SIGNALS) as signals:
            # read only now: a reload that is asked for from here on is done after the start
            self._manager = Manager.from_file(self._config, watch=self._watch)
            async with anyio.create_task_group() as group:
                group.start_soon(self._follow_signals, signals, group)
                try:
                    await self._serve(announce)
                except Exception as error:  # raised again below, so that it leaves as it is and not in a group
                    errors.append(error)
                group.cancel_scope.cancel()
        if errors:
            raise errors[0]

    async def reload(self) -> None:
        """
        Move to what the configuration says now, as soon as the host has been started.

        Raises:
            ConfigError: It is wrong, and nothing changes.
            RemoraError: The new plugins could not be started, and nothing changes.
        """
        await self._started.wait()
        found = await anyio.to_thread.run_sync(partial(trace_config, self._config, may_be_empty=False))
        try:
            report = await self._manager.reload(found.config)
        except ConfigError as error:
            found.locate(error)
            raise
        if report.error is not None:
            raise report.error
        if report.applied:
            _log.info("the configuration is in force: %s", report.summary)

    async def _serve(self, announce: Callable[[str, list[str]], None]) -> None:
        async with (
            self._manager as manager,
            serving_admin(
                manager, host=self._host, port=self._port, admin_token=self._admin_token, reload=self.reload
            ) as url,
        ):
            self._started.set()
            announce(url, manager.list_plugins())
            await self._stopping.wait()
            _log.info("stopping; %d calls under way", manager.active_requests())

    async def _follow_signals(self, signals: AsyncIterator[signal.Signals], group: TaskGroup) -> None:
        async for each in signals:
            if each is signal.SIGHUP and self._stopping.is_set():
                _log.info("the configuration is not read again: the host is stopping")
            elif each is signal.SIGHUP:
                group.start_soon(self._reload_or_say_why)  # a signal to stop does not wait for it
            elif self._stopping.is_set():
                self._manager.hurry()
            else:
                self._stopping.set()

    async def _reload_or_say_why(self) -> None:
        try:
            await self.reload()
        except RemoraError as error:
            _log.error("the configuration stays as it was: %s", error)
        except Exception:  # of an extension; whoever sends a signal does not want the host to end
            _log.exception("the configuration stays as it was")
