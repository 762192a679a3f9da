"""
The face of the framework: a manager holds the configured plugins and hands out typed handles on them.
"""

from __future__ import annotations

import logging
import random
import time
from typing import TYPE_CHECKING, Self, TypeVar

import anyio

from remora._assembly import Surroundings, assemble, check_plugins
from remora._caller import NO_OPTIONS, Caller, CallOptions
from remora._conduct import Conduct
from remora._events import EventBus
from remora._exporting import build_exporters, check_exporters
from remora._meters import Meters
from remora._registry import load_catalog
from remora._supervisor import Supervisor
from remora.client import Plugin, make_client, service_of
from remora.config import ManagerConfig, structure_config, trace_config
from remora.errors import ConfigError, ManagerClosed, PluginDisabled, PluginNotFound
from remora.inspection import inspect
from remora.io import loop_clock
from remora.metrics import MetricsRegistry
from remora.observability import observe
from remora.types import HealthStatus, ManagerStarted, ManagerStopped, Status

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

    from anyio.abc import TaskGroup

    from remora._assembly import Plugged
    from remora._route import Route
    from remora.config import PluginConfig
    from remora.inspection import Inspected
    from remora.observability import ObservabilityMetrics
    from remora.types import Call, Event, ExtensionFaults, PluginInfo, Reply

__all__ = ["Manager"]

Request = TypeVar("Request")
Response = TypeVar("Response")
T = TypeVar("T")

_SHUTDOWN_DRAIN = 10.0
_SHUTDOWN_CLOSING = 60.0  # each owner has a limit of its own; this one is for owners that miss it


class Manager:
    """
    The configured plugins, ready to be called while the context lasts::

        async with Manager.from_file("remora.toml") as manager:
            text = manager.client("text", TextProcessor)
            print(await text.upper(Text("hello")))

    Args:
        config: A `ManagerConfig`, or the mapping that a TOML file would give.
        extensions: Hook modules or objects, beside those that are installed.
        rng: The source of chance for jitter and balancing, for simulations that are to be replayed.

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
    ) -> None:
        self._config = config if isinstance(config, ManagerConfig) else structure_config(config)
        self._catalog = load_catalog(extensions)
        self._rng = rng or random.Random()
        self._conduct = Conduct()
        self._bus = EventBus(self._catalog.observers, self._conduct)
        self._plugins: dict[str, Plugged] = {}
        self._disabled: set[str] = set()
        self._group: TaskGroup | None = None
        self._supervisor: Supervisor | None = None
        self._is_closed = False
        check_plugins(self._catalog, self._config.plugins.values(), security=self._config.security)
        check_exporters(self._catalog, self._config)
        kept = self._config.metrics
        self._metrics = MetricsRegistry(
            kept.export_interval,
            kept.batch_size,
            max_series=kept.max_series,
            export_timeout=kept.export_timeout,
        )
        self._meters = Meters(self._metrics) if kept.enabled else None
        if self._meters is not None:
            self._bus.count, self._conduct.count = self._meters.observe, self._meters.fault

    @classmethod
    def from_file(cls, path: str | os.PathLike[str], *, extensions: Sequence[object] = ()) -> Self:
        """
        A manager with the configuration of a file, or of all files of a directory.

        Raises:
            ConfigError: The file cannot be read, or its content is wrong.
        """
        loaded = trace_config(path)
        try:
            return cls(loaded.config, extensions=extensions)
        except ConfigError as error:
            loaded.locate(error)
            raise

    async def __aenter__(self) -> Self:
        if self._group is not None:
            raise ManagerClosed("a manager can be entered only once")
        logging.getLogger("remora").setLevel(self._config.log_level.upper())
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._supervisor = Supervisor(self._group, publish=self._bus.publish, rng=self._rng)
        try:
            for exporter, culprit in build_exporters(self._catalog, self._config):
                self._metrics.exports.add(exporter, culprit)
            self._metrics.exports.start(self._group, self._conduct)
            for plugin in self._config.plugins.values():
                self._plug(plugin)
        except BaseException as error:
            await self.__aexit__(type(error), error, None)
            raise
        self._bus.publish(ManagerStarted(time=time.time(), plugins=tuple(self._plugins)))
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._group is not None
        assert self._supervisor is not None
        self._is_closed = True
        if self._meters is not None:
            self._meters.closing()
        for plugged in self._plugins.values():
            plugged.route.is_closed = True
        self._group.cancel_scope.shield = True
        try:
            with anyio.CancelScope(shield=True):  # a cancelled owner cancels its siblings and this task
                await self._wind_down(self._supervisor, drain=exc_type is None)
        finally:
            self._group.cancel_scope.cancel()
            # without the body's exception, so that it leaves as it is and not in a group
            await self._group.__aexit__(None, None, None)
            self._bus.publish(ManagerStopped(time=time.time()))
            self._bus.close()

    async def _wind_down(self, supervisor: Supervisor, *, drain: bool) -> None:
        if drain:
            await self._drained(_SHUTDOWN_DRAIN)
        with anyio.move_on_after(_SHUTDOWN_CLOSING):
            await supervisor.stop_all()
        await self._metrics.exports.stop()

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
        A typed handle on one method of a plugin.

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
        caller = self._caller(name)
        target = caller.target(service=service, method=method, request=request_type, response=response_type)
        return Plugin(caller, target)

    def client(self, name: str, protocol: Callable[..., T]) -> T:
        """
        A typed client: an object with one coroutine per method of a Protocol class.

        Args:
            name: The plugin's configured name.
            protocol: A class whose methods are annotated, such as a Protocol or the plugin's own class. Its name,
                or what `@service` says, names the service unless the plugin's table does.

        Raises:
            PluginNotFound: No plugin of that name is configured.
            PluginDisabled: It is switched off.
            ConfigError: A method cannot be called over a wire.
        """
        client: T = make_client(self._caller(name), protocol)
        return client

    async def execute(
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
        Call a plugin whose name is known only now.

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
        caller = self._caller(name)
        target = caller.target(service=service, method=method, request=type(request), response=response_type)
        response: Response = await caller.call(target, request, options or NO_OPTIONS)
        return response

    def register(self, plugin: PluginConfig) -> None:
        """
        Add a plugin while the manager runs.

        Raises:
            ConfigError: There is one of that name, or its table makes no sense.
        """
        self._running()
        if plugin.name in self._plugins:
            raise ConfigError(f"a plugin named {plugin.name!r} is there already", plugin=plugin.name)
        check_plugins(self._catalog, [plugin], security=self._config.security)
        self._plug(plugin)

    async def unregister(self, name: str, *, drain: bool = True) -> None:
        """
        Take a plugin out while the manager runs.

        Args:
            name: The plugin's configured name.
            drain: Let the calls under way end first, within the plugin's request_timeout.

        Raises:
            PluginNotFound: No plugin of that name is configured.
        """
        supervisor, plugged = self._running(), self._plugged(name)
        if drain:
            await self.drain(name, plugged.route.config.connection.request_timeout)
        if self._plugins.get(name) is plugged:  # nobody else was faster
            del self._plugins[name]
        plugged.route.is_closed = True
        await supervisor.stop(plugged.route.instances)

    async def drain(self, name: str, timeout: float) -> bool:
        """
        Refuse new calls of a plugin, and wait for those under way.

        Returns:
            Whether all of them ended within `timeout` seconds.

        Raises:
            PluginNotFound: No plugin of that name is configured.
        """
        route = self._plugged(name).route
        route.calls.drain()
        return await _idle(route, timeout)

    def active_requests(self, name: str | None = None) -> int:
        """
        The number of calls under way, of one plugin or of all.

        Raises:
            PluginNotFound: No plugin of that name is configured.
        """
        plugged = self._plugins.values() if name is None else [self._plugged(name)]
        return sum(each.route.calls.active for each in plugged)

    def restart(self, name: str) -> None:
        """
        Close and start every instance of a plugin, also those that were left alone after too many failures.

        Raises:
            PluginNotFound: No plugin of that name is configured.
        """
        supervisor = self._running()
        for instance in self._plugged(name).route.instances:
            supervisor.restart(instance)

    async def health(self) -> dict[str, HealthStatus]:
        """
        The health of every plugin, after asking each.

        Raises:
            ManagerClosed: The manager has not been entered.
        """
        self._entered()
        found: dict[str, HealthStatus] = {}

        async def ask(name: str, caller: Caller) -> None:
            found[name] = await caller.health()

        async with anyio.create_task_group() as group:
            for name, plugged in self._plugins.items():
                group.start_soon(ask, name, plugged.caller)
        return {name: found[name] for name in self._plugins if name in found}

    async def overall_health(self) -> HealthStatus:
        """
        One verdict on all plugins: healthy when all are, else degraded, naming those that are not.
        """
        health = await self.health()
        ill = [f"{name} is {status.status}" for name, status in health.items() if status.status is not Status.HEALTHY]
        verdict = Status.HEALTHY if not ill else Status.DEGRADED if len(ill) < len(health) else Status.UNHEALTHY
        return HealthStatus(status=verdict, message="; ".join(ill) or "all plugins are healthy", last_check=time.time())

    async def info(self, name: str) -> PluginInfo:
        """
        What a plugin says about itself.

        Raises:
            PluginNotFound: No plugin of that name is configured.
        """
        return await self._caller(name).info()

    async def verify(self, name: str, protocol: Callable[..., object]) -> PluginInfo:
        """
        Make sure that a plugin serves what a typed client needs, before the first call needs it::

            await manager.verify("text", TextProcessor)
            text = manager.client("text", TextProcessor)

        Returns:
            What the plugin says about itself.

        Raises:
            ServiceMismatch: It lacks methods, or does not say which it has.
            VersionMismatch: It has another version than its table requires.
            PluginNotFound: No plugin of that name is configured.
        """
        caller = self._caller(name)
        return await caller.verify(*service_of(caller, protocol))

    @property
    def metrics(self) -> MetricsRegistry:
        """
        What is counted, also by the application itself, and who gets to see it.
        """
        return self._metrics

    def observability(self) -> ObservabilityMetrics:
        """
        How many calls there were since the manager was entered, how they ended, how long they took, and how everything
        is now. Numbers are exact; latencies are as exact as the buckets of their histograms.
        """
        return observe({name: plugged.route for name, plugged in self._plugins.items()}, self._metrics)

    def extension_faults(self) -> dict[str, ExtensionFaults]:
        """
        What extensions have done wrong since the manager was made, by who did it, such as
        "the observer of extension 'audit' of acme-audit 1.0".
        """
        return self._conduct.faults()

    def list_plugins(self) -> list[str]:
        """
        The names of the plugins that can be called.
        """
        return list(self._plugins)

    def inspect(self) -> list[Inspected]:
        """
        What would be started, and what stands between that and the host; nothing is started for it.

        Programs are read and hashed, which takes its time: this is for checks, not for a running event loop.
        """
        return inspect(self._catalog, self._config)

    def events(self) -> AbstractContextManager[AsyncIterator[Event]]:
        """
        Lifecycle events from now on::

            with manager.events() as events:
                async for event in events:
                    ...
        """
        return self._bus.subscribe()

    def _plug(self, config: PluginConfig) -> None:
        """
        Build what a plugin needs and have its instances opened.
        """
        if not config.enabled:
            self._disabled.add(config.name)
            return
        self._disabled.discard(config.name)
        lent = Surroundings(
            publish=self._bus.publish,
            ask=self._ask,
            conduct=self._conduct,
            clock=loop_clock(),
            rng=self._rng,
            security=self._config.security,
        )
        plugged = assemble(self._catalog, config, lent)
        if self._meters is not None:
            self._meters.attach(plugged.route)
        self._plugins[config.name] = plugged
        supervisor = self._running()
        for part in plugged.parts:
            supervisor.start(plugged.route, part)

    async def _drained(self, timeout: float) -> None:
        async with anyio.create_task_group() as group:
            for plugged in self._plugins.values():
                group.start_soon(_idle, plugged.route, timeout)

    def _caller(self, name: str) -> Caller:
        return self._plugged(name).caller

    async def _ask(self, name: str, call: Call) -> Reply:
        """
        Have another plugin answer a call, in the time that the call has left.
        """
        remaining = None if call.deadline is None else call.deadline - anyio.current_time()
        return await self._caller(name).pipeline(call, remaining)

    def _plugged(self, name: str) -> Plugged:
        self._entered()
        try:
            return self._plugins[name]
        except KeyError:
            if name in self._disabled:
                raise PluginDisabled("it is configured with enabled = false", plugin=name) from None
            known = ", ".join(sorted(self._plugins)) or "none"
            raise PluginNotFound(f"no plugin named {name!r} is configured; there are: {known}") from None

    def _entered(self) -> Supervisor:
        if self._supervisor is None:
            raise ManagerClosed("the manager has not been entered: use `async with`")
        return self._supervisor

    def _running(self) -> Supervisor:
        supervisor = self._entered()
        if self._is_closed:
            raise ManagerClosed("the manager is shut down")
        return supervisor


async def _idle(route: Route, timeout: float) -> bool:
    """
    Wait until no call is under way; False when that takes longer than `timeout` seconds.
    """
    with anyio.move_on_after(timeout):
        while not route.calls.is_idle:
            changed = anyio.Event()
            route.wait(changed)
            try:
                await changed.wait()
            finally:
                route.forget(changed)
        return True
    return False
