"""
Changes to the configuration of a running manager: of all of it, of one plugin, or of what manifests say.

What lives here: what the next configuration is, and which is in force. What must not: how plugins are moved to it.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import anyio

from remora._reload._admission import check_config
from remora._reload._detached import Detached
from remora._reload._discovery import require_watching_of
from remora._reload._plan import plan
from remora._reload._resolution import Resolution
from remora._reload._transition import Transition, in_force
from remora._reload._turns import Turns
from remora.config import PluginConfig, dependants_of
from remora.errors import ConfigError, ManagerClosed, RemoraError
from remora.reload import ReloadOptions, ReloadReport

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskGroup

    from remora._extensions._conduct import Conduct
    from remora._fleet._fleet import Fleet
    from remora._reload._discovery import Discovery
    from remora._telemetry._exporting import Exporting
    from remora._telemetry._metering import Metering
    from remora.config import Discovered, ManagerConfig
    from remora.reload import ReloadPlan

_log = logging.getLogger(__name__)


class Changes:
    """
    The configuration of a manager, and moves to another one.

    Attributes:
        asked: The one in force, without what resolvers and manifests add to it.
        options: How changes of manifests are put in force.
    """

    def __init__(
        self,
        asked: ManagerConfig,
        found: Discovered,
        *,
        fleet: Fleet,
        discovery: Discovery,
        metering: Metering,
        exporting: Exporting,
        conduct: Conduct,
    ) -> None:
        self.asked = asked
        self.options = ReloadOptions()
        self._found = found
        self._fleet = fleet
        self._catalog = fleet.catalog
        self._discovery = discovery
        self._metering = metering
        self._exporting = exporting
        self._turns = Turns()
        self._resolution = Resolution(fleet, self._turns, conduct)
        self._group: TaskGroup | None = None
        check_config(self._catalog, found.added_to(asked))
        require_watching_of(asked)

    def start(self, group: TaskGroup) -> None:
        """
        Follow resolvers and manifests from now on, in the manager's task group.
        """
        self._group = group
        self._resolution.follow(self._fleet.config, group)
        self._discovery.accept(self._found)
        self._discovery.follow(self.asked.discovery, self._rediscover, group)

    def close(self) -> None:
        """
        Stop following.
        """
        self._discovery.close()
        self._resolution.close()

    def plan(self, wanted: ManagerConfig) -> ReloadPlan:
        """
        What `reload` would do.

        Raises:
            ConfigError: The configuration is wrong.
        """
        whole = self._resolution.complete(self._discovery.look(wanted).added_to(wanted))
        require_watching_of(wanted)
        check_config(self._catalog, whole, self._fleet.config)
        return plan(self._catalog, self._fleet.config, whole)

    async def reload(self, wanted: ManagerConfig, options: ReloadOptions, cause: str) -> ReloadReport:
        """
        Move to another configuration; of several that wait for their turn only the newest is done.

        Raises:
            ConfigError: It is wrong, and nothing changes.
            ManagerClosed: The manager does not run, or has ended in the meantime.
            TypeError: The options are none.
        """
        self._fleet.running()
        # now, since looking for manifests may take longer than for what is asked for later
        number = self._turns.number()
        found = await self._discovery.look_aside(wanted)
        require_watching_of(wanted)
        check_config(self._catalog, self._resolution.complete(found.added_to(wanted)), self._fleet.config)
        self._turns.announce(number)
        return await self._change(lambda: wanted, options, cause, number=number)

    async def add(self, plugin: PluginConfig, options: ReloadOptions) -> ReloadReport:
        """
        Move to the configuration in force plus one plugin.

        Raises:
            ConfigError: There is already one of that name, or its table is wrong.
            ManagerClosed: The manager does not run, or has ended in the meantime.
            TypeError: It is something else than a plugin's table.
        """
        given: object = plugin
        if not isinstance(given, PluginConfig):
            raise TypeError(
                f"a plugin is registered as PluginConfig(name=..., endpoint=...), not a {type(given).__name__}"
            )

        def wanted() -> ManagerConfig:
            if plugin.name in self._fleet.config.plugins:
                raise ConfigError(f"a plugin named {plugin.name!r} is there already", plugin=plugin.name)
            more = replace(self.asked, plugins={**self.asked.plugins, plugin.name: plugin})
            check_config(self._catalog, more, self._fleet.config)
            return more

        self._fleet.running()
        return await self._change(wanted, options, f"{plugin.name!r} is registered")

    async def remove(self, name: str, options: ReloadOptions) -> ReloadReport:
        """
        Move to the configuration in force without one plugin.

        Raises:
            ConfigError: Another plugin requires it, or a manifest brings it.
            ManagerClosed: The manager does not run, or has ended in the meantime.
        """

        def wanted() -> ManagerConfig:
            if file := self._discovery.file_of(name):
                raise ConfigError(f"it is there as long as its manifest is, {file}", plugin=name)
            if dependants := dependants_of(name, self._fleet.config.plugins):
                raise ConfigError(f"it is required by {', '.join(dependants)}", plugin=name)
            rest = {key: each for key, each in self.asked.plugins.items() if key != name}
            return replace(self.asked, plugins=rest)

        return await self._change(wanted, options, f"{name!r} is unregistered")

    async def _change(
        self, wanted: Callable[[], ManagerConfig], options: ReloadOptions, cause: str, *, number: int | None = None
    ) -> ReloadReport:
        assert self._group is not None
        options = checked_options(options)
        return await Detached(partial(self._move, wanted, options, cause, number)).done_in(self._group)

    async def _move(
        self,
        wanted: Callable[[], ManagerConfig],
        options: ReloadOptions,
        cause: str,
        number: int | None = None,
        settled: Callable[[], object] = lambda: None,
    ) -> ReloadReport:
        """
        Move when it is the turn; `settled` is called before old calls are waited for.
        """
        async with self._turns.take(number) as is_wanted:
            if not is_wanted:
                return ReloadReport(superseded=True)
            self._fleet.running()
            asked = wanted()
            found = await self._discovery.look_aside(asked)
            whole = self._resolution.complete(found.added_to(asked))
            transition = Transition(self._fleet, whole, options, cause, self._resolution.give_way(whole))
            report = await transition.run()
            if report.rolled_back:
                self._fleet.running()  # raises when the manager has ended
            else:
                await self._settle(asked, found, report)
        settled()
        return await transition.finish(report)

    async def _settle(self, asked: ManagerConfig, found: Discovered, report: ReloadReport) -> None:
        """
        Bring everything else in line with the plugins that are in force now.
        """
        assert self._group is not None
        failed = {name: each.error.message for name, each in report.plugins.items() if each.error is not None}
        self.asked = in_force(self.asked, asked, failed)
        self._resolution.follow(in_force(self._fleet.config, found.added_to(asked), failed), self._group)
        self._discovery.accept(found, failed)
        self._discovery.follow(asked.discovery, self._rediscover, self._group)
        self._metering.follow(asked.metrics)
        try:
            await self._exporting.follow(asked)
        except RemoraError as error:  # an extension's builder; the plugins have moved by now
            _log.error("the metrics are not exported as configured: %s", error)

    async def _rediscover(self) -> None:
        """
        Put the present manifests in force. Their next change waits for that, not until old calls have been drained.
        """
        assert self._group is not None
        done = anyio.Event()
        self._group.start_soon(self._move_to_manifests, done)
        await done.wait()

    async def _move_to_manifests(self, done: anyio.Event) -> None:
        """
        Move to what manifests say now; one that does not work does not hold back the others.
        """
        try:
            if self._discovery.is_news(await self._looked()):
                options = replace(self.options, rollback_on_failure=False)
                await self._move(lambda: self.asked, options, "manifests have changed", settled=done.set)
        except ManagerClosed:
            return
        except RemoraError as error:
            _log.error("the changed manifests are not in force: %s", error)
        finally:
            done.set()

    async def _looked(self) -> Discovered:
        """
        What manifests add to the configuration in force, even if that changes in the meantime.
        """
        while True:
            asked = self.asked
            found = await self._discovery.look_aside(asked)
            if asked is self.asked:
                return found


def checked_options(options: ReloadOptions) -> ReloadOptions:
    """
    The options of a reload, unchanged.

    Raises:
        TypeError: They are none.
    """
    given: object = options
    if not isinstance(given, ReloadOptions):
        raise TypeError(f"the options of a reload are ReloadOptions, not a {type(given).__name__}")
    return given
