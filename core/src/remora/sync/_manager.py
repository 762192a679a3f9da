"""
The manager for synchronous programs: the asynchronous one, in an event loop of its own.
"""

from __future__ import annotations

import atexit
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self, TypeVar

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

    from typing_extensions import TypeForm

    from remora._calls._caller import CallOptions
    from remora._fleet._drain import Tell
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
    The configured plugins, for programs without `async`; any number of threads may use it::

        with sync.Manager.from_file("remora.toml") as manager:
            text = manager.client("text", TextProcessor)
            print(text.upper(Text("hello")))

    Its methods do what those of `remora.Manager` do, and raise the same errors. They run in the event loop, also
    `plugin`, `client` and `plan`, so before `open` and after `close` they raise ManagerClosed; only `config`,
    `metrics`, `list_plugins`, `inspect` and `extension_faults` are there at any time.

    Where `with` does not fit (Django, a notebook), call `open` once, and `close` at the end. A manager that is still
    open when the program ends is closed.

    Args:
        config: A `ManagerConfig`, or the mapping that a TOML file would give.
        extensions: Hook modules or objects, in addition to those that are installed.
        rng: The source of randomness for jitter and balancing, for reproducible simulations.
        backend: The event loop that runs in the manager's own thread.

    Raises:
        ConfigError: The configuration is wrong; the message names every problem.
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
        A manager with the configuration in a file, or in all files of a directory, as `remora.Manager.from_file`.

        Args:
            path: The file or the directory.
            extensions: Hook modules or objects, in addition to those that are installed.
            watch: Whether the manager reloads when the files change.
            reload_options: How it reloads then.
            backend: The event loop that runs in the manager's own thread.

        Raises:
            ConfigError: The file cannot be read, or its content is wrong.
            NotInstalled: It names a feature that is not installed, or `watch` is on and what watches files is not.
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
        Let the calls under way end, then close everything. Calling it again does nothing.
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
        request_type: TypeForm[Request],
        response_type: TypeForm[Response],
        *,
        service: str | None = None,
        method: str | None = None,
    ) -> Plugin[Request, Response]:
        """
        A typed handle on one method of a plugin, as `remora.Manager.plugin`.

        Args:
            name: The plugin's configured name.
            request_type: The record type of requests.
            response_type: The record type of replies.
            service: The service's name; by default what the plugin's table says.
            method: The method's name; by default what the plugin's table says.

        Raises:
            PluginNotFound: No plugin of that name is configured.
            PluginDisabled: It is switched off.
        """
        made = self._loop.call(self._manager.plugin, name, request_type, response_type, service=service, method=method)
        return Plugin(self._loop, made)

    def client(self, name: str, protocol: Callable[..., T]) -> T:
        """
        A typed client: an object with one function per method of a Protocol class.

        Args:
            name: The plugin's configured name.
            protocol: A Protocol whose methods are plain `def`, since those of the client are.

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
        response_type: TypeForm[Response],
        *,
        service: str | None = None,
        method: str | None = None,
        options: CallOptions | None = None,
    ) -> Response:
        """
        Call a plugin whose name is known only at run time, as `remora.Manager.execute`.

        Args:
            name: The plugin's configured name.
            request: The request.
            response_type: The record type of the reply.
            service: The service's name; by default what the plugin's table says.
            method: The method's name; by default what the plugin's table says.
            options: Timeout, headers and the like.

        Raises:
            RemoraError: As `Plugin.execute`, and PluginNotFound, PluginDisabled.
        """
        response: Response = self._loop.call(
            self._manager.execute, name, request, response_type, service=service, method=method, options=options
        )
        return response

    def register(self, plugin: PluginConfig, options: ReloadOptions | None = None) -> None:
        """
        Add a plugin while the manager runs, as `remora.Manager.register`.

        Raises:
            ConfigError: There is a plugin of that name already, or the table is wrong.
            RemoraError: The plugin did not become ready, and has not been added.
        """
        self._loop.call(self._manager.register, plugin, options)

    def unregister(self, name: str, *, drain: bool = True) -> None:
        """
        Remove a plugin while the manager runs; it cannot be called from now on.

        Args:
            name: The plugin's configured name.
            drain: Whether the calls under way may end first, within the plugin's `request_timeout`; otherwise they are
                cancelled.

        Raises:
            PluginNotFound: No plugin of that name is configured.
            ConfigError: Another plugin requires it.
        """
        self._loop.call(self._manager.unregister, name, drain=drain)

    def drain(self, name: str, timeout: float, *, force: bool = False, progress: Tell | None = None) -> None:
        """
        Refuse new calls of a plugin, and wait for those under way, as `remora.Manager.drain`.

        Args:
            name: The plugin's configured name.
            timeout: Seconds to wait.
            force: Whether to cancel what is still under way then, and to close the plugin until `restart`.
            progress: Called with a `remora.policy.DrainProgress`, at first and each time that a call has ended, in the
                thread of the event loop: it must not block, nor call the manager.

        Raises:
            DrainTimeout: Calls were still under way after `timeout` seconds, or when `restart` ended the drain.
            InvalidRequest: The timeout is no number.
            PluginNotFound: No plugin of that name is configured.
        """
        self._loop.call(self._manager.drain, name, timeout, force=force, progress=progress)

    def reload(
        self, config: ManagerConfig | Mapping[str, object], options: ReloadOptions | None = None
    ) -> ReloadReport:
        """
        Move to another configuration without a call that fails, as `remora.Manager.reload`.

        Returns:
            What happened to each plugin.

        Raises:
            ConfigError: The configuration is wrong, and nothing changes.
        """
        return self._loop.call(self._manager.reload, config, options)

    def plan(self, config: ManagerConfig | Mapping[str, object]) -> ReloadPlan:
        """
        What `reload` would do, without doing it.

        Raises:
            ConfigError: The configuration is wrong.
        """
        return self._loop.call(self._manager.plan, config)

    def hurry(self) -> None:
        """
        Stop waiting for calls: those that a drain or a shutdown still waits for end now, each with an error.
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
        The registry of metrics, in which the program may count and measure as well, from any thread.
        """
        return self._manager.metrics

    def active_requests(self, name: str | None = None) -> int:
        """
        The number of calls under way, of one plugin or, without a name, of all.

        Raises:
            PluginNotFound: No plugin of that name is configured.
        """
        return self._loop.call(self._manager.active_requests, name)

    def restart(self, name: str) -> None:
        """
        Close and start every instance of a plugin, including those that were given up after too many failures, and
        admit calls again after `drain`.

        An instance that is well is closed when its calls have ended, after `request_timeout` at the latest, and new
        calls wait for the next one. One that is not is closed at once; to have that for all, call it again.

        Raises:
            PluginNotFound: No plugin of that name is configured.
        """
        self._loop.call(self._manager.restart, name)

    def health(self) -> dict[str, HealthStatus]:
        """
        The health of every plugin, by name, after asking each.
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

        Raises:
            PluginNotFound: No plugin of that name is configured.
            RemoraError: The plugin cannot be asked.
        """
        return self._loop.call(self._manager.info, name)

    def verify(self, name: str, protocol: Callable[..., object]) -> PluginInfo:
        """
        Make sure that a plugin serves what a typed client needs, before the first call needs it.

        Raises:
            ServiceMismatch: It lacks methods, or does not say which it has.
            VersionMismatch: It has another version than its table requires.
            PluginNotFound: No plugin of that name is configured.
        """
        info: PluginInfo = self._loop.call(self._manager.verify, name, protocol)
        return info

    def observability(self) -> ObservabilityMetrics:
        """
        How many calls there were, how they ended, how long they took, and how every plugin is right now.
        """
        return self._loop.call(self._manager.observability)

    def extension_faults(self) -> dict[str, ExtensionFaults]:
        """
        What extensions have done wrong since the manager was made, by a description of the extension.
        """
        return self._manager.extension_faults()

    def list_plugins(self) -> list[str]:
        """
        The names of the plugins that can be called.
        """
        return self._manager.list_plugins()

    def inspect(self) -> list[Inspected]:
        """
        Which programs would be started, and how they would be confined; nothing is started.
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


_open: set[Manager] = set()  # also those that only a handle or a client is left of


@atexit.register
def _close_all() -> None:
    """
    End the plugins of managers that nobody has closed, such as those of a notebook.
    """
    for manager in list(_open):
        manager.close()
