"""
The manager for synchronous programs: the asynchronous one, in an event loop of its own.
"""

from __future__ import annotations

import atexit
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self, TypeVar
from weakref import WeakSet

import remora._manager
from remora.client import make_client
from remora.sync._events import Events
from remora.sync._loop import Loop
from remora.sync._plugin import Plugin, blocking

if TYPE_CHECKING:
    import os
    import random
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Literal

    from remora._caller import CallOptions
    from remora._drain import Tell
    from remora.config import ManagerConfig, PluginConfig
    from remora.inspection import Inspected
    from remora.metrics import MetricsRegistry
    from remora.observability import ObservabilityMetrics
    from remora.reload import ReloadOptions, ReloadPlan, ReloadReport
    from remora.types import ExtensionFaults, HealthStatus, PluginInfo

Request = TypeVar("Request")
Response = TypeVar("Response")
T = TypeVar("T")


class Manager:
    """
    The configured plugins for programs without `async`, called from any number of threads::

        with sync.Manager.from_file("remora.toml") as manager:
            text = manager.client("text", TextProcessor)
            print(text.upper(Text("hello")))

    Its methods do what those of `remora.Manager` do, and raise the same errors. Where `with` does not fit (Django,
    a notebook) call `open` once and `close` at the end; a manager that is still open when the program ends is closed.

    Args:
        config: A `ManagerConfig`, or the mapping that a TOML file would give.
        extensions: Hook modules or objects, beside those that are installed.
        rng: The source of chance for jitter and balancing, for simulations that are to be replayed.
        backend: The event loop that runs in the manager's own thread.

    Raises:
        ConfigError: The configuration is wrong; every problem of it is named.
        NotInstalled: It names a feature that no installed distribution provides.
        ExtensionError: An installed extension is wrong in a way that cannot be ignored.
    """

    def __init__(
        self,
        config: ManagerConfig | Mapping[str, object],
        *,
        extensions: Sequence[object] = (),
        rng: random.Random | None = None,
        backend: Literal["asyncio", "trio"] = "asyncio",
    ) -> None:
        self._own(remora._manager.Manager(config, extensions=extensions, rng=rng), backend)

    def _own(self, manager: remora._manager.Manager, backend: str) -> None:
        self._manager = manager
        self._loop = Loop(backend)

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        extensions: Sequence[object] = (),
        watch: bool = False,
        reload_options: ReloadOptions | None = None,
        backend: Literal["asyncio", "trio"] = "asyncio",
    ) -> Self:
        """
        A manager with the configuration of a file, as `remora.Manager.from_file`.

        Raises:
            ConfigError: The file cannot be read, or its content is wrong.
        """
        made = cls.__new__(cls)
        manager = remora._manager.Manager.from_file(
            path, extensions=extensions, watch=watch, reload_options=reload_options
        )
        made._own(manager, backend)
        return made

    def open(self) -> Self:
        """
        Start the event loop and the plugins; what `with` does.

        Raises:
            ManagerClosed: It was opened before.
        """
        self._loop.open(self._manager)
        _open.add(self)
        return self

    def close(self) -> None:
        """
        Let the calls under way end, then close everything. Once is enough, and more is no error.
        """
        _open.discard(self)
        self._loop.close()

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _open.discard(self)
        self._loop.close(exc)

    if not TYPE_CHECKING:  # a type checker knows by itself

        async def __aenter__(self) -> None:
            raise TypeError("a synchronous manager is entered with `with`; `remora.Manager` with `async with`")

        __aexit__ = __aenter__

    def plugin(
        self,
        name: str,
        request_type: type[Request],
        response_type: type[Response],
        *,
        service: str | None = None,
        method: str | None = None,
    ) -> Plugin[Request, Response]:
        """
        A typed handle on one method of a plugin, as `remora.Manager.plugin`.
        """
        made = self._loop.call(self._manager.plugin, name, request_type, response_type, service=service, method=method)
        return Plugin(self._loop, made)

    def client(self, name: str, protocol: Callable[..., T]) -> T:
        """
        A typed client: an object with one function per method of a Protocol class.

        Args:
            name: The plugin's configured name.
            protocol: A Protocol whose methods are plain `def`, since that is what its client has.

        Raises:
            PluginNotFound: No plugin of that name is configured.
            PluginDisabled: It is switched off.
            ConfigError: A method cannot be called over a wire, or is `async def`.
        """
        client: T = self._loop.call(self._make_client, name, protocol)
        return client

    def _make_client(self, name: str, protocol: Callable[..., T]) -> T:
        client: T = make_client(self._manager._handle(name), protocol, wait=lambda call: blocking(self._loop, call))
        return client

    def execute(
        self,
        name: str,
        request: object,
        response_type: type[Response],
        *,
        service: str | None = None,
        method: str | None = None,
        options: CallOptions | None = None,
    ) -> Response:
        """
        Call a plugin whose name is known only now, as `remora.Manager.execute`.
        """
        response: Response = self._loop.call(
            self._manager.execute, name, request, response_type, service=service, method=method, options=options
        )
        return response

    def register(self, plugin: PluginConfig, options: ReloadOptions | None = None) -> None:
        """
        Add a plugin while the manager runs, as `remora.Manager.register`.

        Raises:
            ConfigError: There is one of that name, or its table makes no sense.
            RemoraError: It does not get ready, and is not there.
        """
        self._loop.call(self._manager.register, plugin, options)

    def unregister(self, name: str, *, drain: bool = True) -> None:
        """
        Take a plugin out while the manager runs.

        Args:
            name: The plugin's configured name.
            drain: Let the calls under way end first, within the plugin's request_timeout.
        """
        self._loop.call(self._manager.unregister, name, drain=drain)

    def drain(self, name: str, timeout: float, *, force: bool = False, progress: Tell | None = None) -> None:
        """
        Refuse new calls of a plugin, and wait for those under way, as `remora.Manager.drain`.

        Raises:
            DrainTimeout: Calls were still under way after `timeout` seconds.
        """
        self._loop.call(self._manager.drain, name, timeout, force=force, progress=progress)

    def reload(
        self, config: ManagerConfig | Mapping[str, object], options: ReloadOptions | None = None
    ) -> ReloadReport:
        """
        Move to another configuration without a call that fails, as `remora.Manager.reload`.
        """
        return self._loop.call(self._manager.reload, config, options)

    def plan(self, config: ManagerConfig | Mapping[str, object]) -> ReloadPlan:
        """
        What `reload` would do; nothing is done for it.

        Raises:
            ConfigError: The configuration is wrong.
        """
        return self._loop.call(self._manager.plan, config)

    def hurry(self) -> None:
        """
        Wait for calls no longer: those that are being drained end now, each with an error.
        """
        self._loop.call(self._manager.hurry)

    @property
    def config(self) -> ManagerConfig:
        """
        The configuration that is in force.
        """
        return self._manager.config

    @property
    def metrics(self) -> MetricsRegistry:
        """
        Where programs count and measure, from any thread.
        """
        return self._manager.metrics

    def active_requests(self, name: str | None = None) -> int:
        """
        The number of calls under way, of one plugin or of all.
        """
        return self._loop.call(self._manager.active_requests, name)

    def restart(self, name: str) -> None:
        """
        Close and start every instance of a plugin, also those that were left alone after too many failures.
        """
        self._loop.call(self._manager.restart, name)

    def health(self) -> dict[str, HealthStatus]:
        """
        The health of every plugin, after asking each.
        """
        return self._loop.call(self._manager.health)

    def overall_health(self) -> HealthStatus:
        """
        One verdict on all plugins: healthy when all are, unhealthy when none can be called, else degraded; the message
        names those that are not healthy.
        """
        return self._loop.call(self._manager.overall_health)

    def info(self, name: str) -> PluginInfo:
        """
        What a plugin says about itself.
        """
        return self._loop.call(self._manager.info, name)

    def verify(self, name: str, protocol: Callable[..., object]) -> PluginInfo:
        """
        Make sure that a plugin serves what a typed client needs, before the first call needs it.

        Raises:
            ServiceMismatch: It lacks methods, or does not say which it has.
            VersionMismatch: It has another version than its table requires.
        """
        info: PluginInfo = self._loop.call(self._manager.verify, name, protocol)
        return info

    def observability(self) -> ObservabilityMetrics:
        """
        What there is to say about the calls and the plugins right now.
        """
        return self._loop.call(self._manager.observability)

    def extension_faults(self) -> dict[str, ExtensionFaults]:
        """
        What extensions have done wrong since the manager was made, by who did it.
        """
        return self._manager.extension_faults()

    def list_plugins(self) -> list[str]:
        """
        The names of the plugins that can be called.
        """
        return self._manager.list_plugins()

    def inspect(self) -> list[Inspected]:
        """
        What would be started, and what stands between that and the host; nothing is started for it.
        """
        return self._manager.inspect()

    @contextmanager
    def events(self) -> Iterator[Events]:
        """
        Lifecycle events from now on, for a thread that waits for them::

            with manager.events() as events:
                for event in events:
                    ...
        """
        events = Events()
        stop = self._loop.start(events.fill, self._manager.events)
        try:
            yield events
        finally:
            stop()


_open: WeakSet[Manager] = WeakSet()


@atexit.register
def _close_all() -> None:
    """
    End the plugins of managers that nobody has closed, such as those of a notebook.
    """
    for manager in list(_open):
        manager.close()
