"""
The entry point of the framework: a manager holds the configured plugins and hands out typed handles on them.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar

import anyio

from remora._calls._caller import NO_OPTIONS, CallOptions
from remora._extensions._conduct import Conduct
from remora._extensions._faults import bare_interruption
from remora._extensions._registry import load_catalog
from remora._fleet._closing import drain, end_all
from remora._fleet._fleet import Fleet
from remora._fleet._health import health_of, overall_health_of
from remora._reload._changes import Changes, checked_options
from remora._reload._discovery import Discovery
from remora._reload._follow import Follower, follow
from remora._telemetry._events import EventBus
from remora._telemetry._exporting import Exporting
from remora._telemetry._metering import Metering
from remora.client import Handle, Plugin, make_client, service_of
from remora.config import ManagerConfig, problems_of_config, structure_config, summary, trace_config
from remora.errors import ConfigError, ManagerClosed
from remora.inspection import inspect
from remora.observability import observe
from remora.reload import ReloadOptions, ReloadReport
from remora.types import HealthStatus, ManagerStarted, ManagerStopped

if TYPE_CHECKING:
    import os
    import random
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType

    from anyio.abc import TaskGroup
    from typing_extensions import TypeForm

    from remora._fleet._drain import Tell
    from remora.config import PluginConfig
    from remora.inspection import Inspected
    from remora.metrics import MetricsRegistry
    from remora.observability import ObservabilityMetrics
    from remora.policy import DrainProgress
    from remora.reload import ReloadPlan
    from remora.types import Event, ExtensionFaults, PluginInfo

__all__ = ["Manager"]

Request = TypeVar("Request")
Response = TypeVar("Response")
T = TypeVar("T")

_SHUTDOWN_DRAIN = 10.0


class Manager:
    """
    The configured plugins, ready to be called while the context lasts::

        async with Manager.from_file("remora.toml") as manager:
            text = manager.client("text", TextProcessor)
            print(await text.upper(Text("hello")))

    Args:
        config: A `ManagerConfig`, or the mapping that a TOML file would give.
        extensions: Hook modules or objects, in addition to those that are installed.
        rng: The random source for jitter and balancing; give a seeded one to make a simulation repeatable.

    Raises:
        ConfigError: The configuration is wrong; the error names every problem.
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
        wanted = _structured(config)
        self._catalog = load_catalog(extensions)
        self._conduct = Conduct()
        self._bus = EventBus(self._catalog.observers, self._conduct)
        discovery = Discovery(self._catalog, self._bus.publish)
        found = discovery.look(wanted)
        self._fleet = Fleet(
            found.added_to(wanted),
            self._catalog,
            publish=self._bus.publish,
            conduct=self._conduct,
            rng=rng,
        )
        self._metering = Metering(wanted.metrics, self._fleet, self._bus, self._conduct)
        self._metrics = self._metering.registry
        self._exporting = Exporting(self._catalog, self._metrics.exports)
        self._changes = Changes(
            wanted,
            found,
            fleet=self._fleet,
            discovery=discovery,
            metering=self._metering,
            exporting=self._exporting,
            conduct=self._conduct,
        )
        self._group: TaskGroup | None = None
        self._follower: Follower | None = None

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        extensions: Sequence[object] = (),
        watch: bool = False,
        reload_options: ReloadOptions | None = None,
    ) -> Self:
        """
        A manager with the configuration in a file, or in all files of a directory.

        Args:
            path: The file or the directory.
            extensions: Hook modules or objects, in addition to those that are installed.
            watch: Whether the manager reloads when the files change. Files that cannot be used change nothing, and a
                `ConfigRejected` event is published.
            reload_options: How it reloads then.

        Raises:
            ConfigError: The file cannot be read, or its content is wrong.
            NotInstalled: It names a feature that is not installed, or `watch` is set and watchfiles is not installed.
        """
        follower = follow(path) if watch else None
        loaded = trace_config(path, more=partial(cls, extensions=extensions))
        try:
            manager = cls(loaded.config, extensions=extensions)
        except ConfigError as error:
            loaded.locate(error)
            raise
        manager._follower = follower
        manager._changes.options = checked_options(reload_options or ReloadOptions())
        return manager

    async def __aenter__(self) -> Self:
        if self._group is not None:
            raise ManagerClosed("a manager can be entered only once")
        logging.getLogger("remora").setLevel(self._fleet.config.log_level.upper())
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        self._fleet.enter(self._group)
        try:
            await self._start(self._group)
        except BaseException as error:
            await self.__aexit__(type(error), error, None)
            raise
        self._bus.publish(ManagerStarted(time=time.time(), plugins=tuple(self._fleet.names)))
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._group is not None
        self._metering.closing()
        self._fleet.close()
        self._changes.close()
        self._group.cancel_scope.shield = True
        try:
            with anyio.CancelScope(shield=True):  # a cancelled owner cancels its siblings and this task
                await end_all(self._fleet, _SHUTDOWN_DRAIN if exc_type is None else 0)
                await self._metrics.exports.stop()
        finally:
            self._group.cancel_scope.cancel()
            with bare_interruption():
                # without the body's exception, so that it leaves as it is and not in a group
                await self._group.__aexit__(None, None, None)
            self._bus.publish(ManagerStopped(time=time.time()))
            self._bus.close()

    if not TYPE_CHECKING:  # a type checker knows by itself

        def __enter__(self) -> None:
            raise TypeError("a manager is entered with `async with`; `remora.sync.Manager` is entered with `with`")

        __exit__ = __enter__

    @property
    def config(self) -> ManagerConfig:
        """
        The configuration that is in force, without what resolvers and manifests add to it.
        """
        return self._changes.asked

    def hurry(self) -> None:
        """
        Stop waiting for calls: those that are being drained end now, each with an error. Meant for a second signal.
        """
        self._fleet.hurry()

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
        A typed handle on one method of a plugin; it stays valid when the plugin's configuration changes.

        Args:
            name: The plugin's configured name.
            request_type: The record type of requests, or any other type, such as `Text | None`.
            response_type: The record type of replies, likewise.
            service: The service's name; by default what the plugin's table says.
            method: The method's name; by default what the plugin's table says.

        Raises:
            PluginNotFound: No plugin of that name is configured.
            PluginDisabled: It is switched off.
            ConfigError: Its fallback is a value that is no such reply.
            TypeError: Something else stands where a type is expected, such as a record.
        """
        handle = self._handle(name)
        return Plugin(handle, handle.aim(service=service, method=method, request=request_type, response=response_type))

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
            ConfigError: A method cannot be called over a wire, or the plugin's fallback is a value that is the reply of
                none.
        """
        client: T = make_client(self._handle(name), protocol)
        return client

    async def execute(
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
        Call a plugin whose name is known only at run time.

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
        caller = self._fleet.caller(name)
        target = caller.known_target(service, method, type(request), response_type)
        response: Response = await caller.call(target, request, options or NO_OPTIONS)
        return response

    async def reload(
        self, config: ManagerConfig | Mapping[str, object], options: ReloadOptions | None = None
    ) -> ReloadReport:
        """
        Move to another configuration without failing any call.

        New instances are opened and checked, then put in force in one step; old ones are drained and closed. When a new
        one fails, nothing changes. Of reloads that wait for their turn only the newest is done. A reload that has begun
        goes on when its caller is cancelled.

        Returns:
            What has become of each plugin, once the old instances are gone.

        Raises:
            ConfigError: The configuration is wrong, and nothing changes.
            ManagerClosed: The manager does not run, or has ended in the meantime.
        """
        return await self._changes.reload(_structured(config), options or ReloadOptions(), "a reload was asked for")

    def plan(self, config: ManagerConfig | Mapping[str, object]) -> ReloadPlan:
        """
        What `reload` would do, without doing it.

        Raises:
            ConfigError: The configuration is wrong.
        """
        return self._changes.plan(_structured(config))

    async def register(self, plugin: PluginConfig, options: ReloadOptions | None = None) -> None:
        """
        Add a plugin while the manager runs; a reload with a configuration that does not have it removes it again.

        Raises:
            ConfigError: There is already one of that name, or its table is wrong.
            RemoraError: It does not become ready, and is not added.
        """
        report = await self._changes.add(plugin, options or ReloadOptions())
        if report.error is not None:
            raise report.error

    async def unregister(self, name: str, *, drain: bool = True) -> None:
        """
        Remove a plugin while the manager runs; it cannot be called from now on.

        Args:
            name: The plugin's configured name.
            drain: Let calls under way end first, within the plugin's request_timeout; otherwise they are cancelled.

        Raises:
            PluginNotFound: No plugin of that name is configured.
            ConfigError: Another plugin requires it.
        """
        self._fleet.running()
        plugin = self._fleet.find(name)
        timeout = plugin.connection.request_timeout if drain else 0.0
        await self._changes.remove(name, ReloadOptions(drain_timeout=timeout))

    async def drain(self, name: str, timeout: float, *, force: bool = False, progress: Tell | None = None) -> None:
        """
        Refuse new calls of a plugin, and wait for those under way. `restart` admits calls again, and ends a drain that
        still waits.

        Args:
            name: The plugin's configured name.
            timeout: Seconds to wait.
            force: Cancel the calls that are still under way then, and close the plugin until `restart`.
            progress: Called with a `remora.policy.DrainProgress` at the beginning and after each call that has ended.

        Raises:
            DrainTimeout: Calls were still under way when the time was over, or when a restart ended the drain; it says
                how many, and how many of them were cancelled.
            InvalidRequest: The timeout is no number.
            PluginNotFound: No plugin of that name is configured.
        """
        await drain(self._fleet, name, timeout, progress or _ignore, force=force)

    def active_requests(self, name: str | None = None) -> int:
        """
        The number of calls under way, of one plugin or of all.

        Raises:
            PluginNotFound: No plugin of that name is configured.
        """
        plugged = list(self._fleet) if name is None else [self._fleet[name]]
        return sum(each.route.calls.active for each in plugged)

    def restart(self, name: str) -> None:
        """
        Close and start every instance of a plugin, including those that were given up after too many failures, and
        admit calls again after `drain`.

        An instance that is well is closed when its calls have ended, after `request_timeout` at the latest, and new
        calls wait for the next one. One that is not is closed at once; to have that for all, call it again.

        Raises:
            PluginNotFound: No plugin of that name is configured.
        """
        self._fleet.reopen(self._fleet[name])

    async def health(self) -> dict[str, HealthStatus]:
        """
        The health of every plugin, after asking each.

        Raises:
            ManagerClosed: The manager has not been entered.
        """
        return await health_of(self._fleet)

    async def overall_health(self) -> HealthStatus:
        """
        One verdict on all plugins: healthy when all are, unhealthy when none can be called, else degraded; the message
        names those that are not healthy. Plugins that wait for their first call do not count.
        """
        return await overall_health_of(self._fleet)

    async def info(self, name: str) -> PluginInfo:
        """
        What a plugin says about itself.

        Raises:
            PluginNotFound: No plugin of that name is configured.
        """
        return await self._fleet.caller(name).info()

    async def verify(self, name: str, protocol: Callable[..., object]) -> PluginInfo:
        """
        Check that a plugin serves what a typed client needs, before the first call::

            await manager.verify("text", TextProcessor)
            text = manager.client("text", TextProcessor)

        Returns:
            What the plugin says about itself.

        Raises:
            ServiceMismatch: It lacks methods, or does not say which it has.
            VersionMismatch: Its version is not one that its table requires.
            PluginNotFound: No plugin of that name is configured.
        """
        caller = self._fleet.caller(name)
        return await caller.verify(*service_of(caller, protocol))

    @property
    def metrics(self) -> MetricsRegistry:
        """
        The registry of all metrics, to which the application may add its own, and of their exporters.
        """
        return self._metrics

    def observability(self) -> ObservabilityMetrics:
        """
        How many calls there were since the manager was entered, how they ended, how long they took, and the state of
        all plugins now. Counts are exact; latencies are as exact as the buckets of their histograms.
        """
        return observe({plugged.config.name: plugged.route for plugged in self._fleet}, self._metrics)

    def extension_faults(self) -> dict[str, ExtensionFaults]:
        """
        What extensions have done wrong since the manager was made. The keys name the culprit, such as
        "the observer of extension 'audit' of acme-audit 1.0".
        """
        return self._conduct.faults()

    def list_plugins(self) -> list[str]:
        """
        The names of the plugins that can be called.
        """
        return self._fleet.names

    def inspect(self) -> list[Inspected]:
        """
        The programs that would be started, and how each is checked and confined, without starting any.

        Programs are read and hashed, which takes time: call this in a check, not in a running event loop.
        """
        return inspect(self._catalog, self._fleet.config)

    def events(self) -> AbstractContextManager[AsyncIterator[Event]]:
        """
        Lifecycle events from now on::

            with manager.events() as events:
                async for event in events:
                    ...
        """
        return self._bus.subscribe()

    async def _start(self, group: TaskGroup) -> None:
        self._metrics.exports.start(group, self._conduct)
        self._exporting.start(self._fleet.config)
        self._fleet.start()
        self._changes.start(group)
        if self._follower is not None:
            apply = partial(self._changes.reload, options=self._changes.options, cause="its files have changed")
            await group.start(partial(self._follower.run, apply, self._bus.publish))

    def _handle(self, name: str) -> Handle:
        self._fleet.caller(name)  # raises now if there is no such plugin, not at the first call
        return Handle(partial(self._fleet.caller, name))


def _ignore(progress: DrainProgress) -> None:
    """
    The default of `progress`.
    """


def _structured(config: ManagerConfig | Mapping[str, object]) -> ManagerConfig:
    if not isinstance(config, ManagerConfig):
        return structure_config(config)
    if problems := problems_of_config(config):
        raise ConfigError(summary(problems), problems=problems)
    return config
