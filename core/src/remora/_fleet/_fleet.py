"""
The plugins of a manager: which there are, and how they are opened.

What lives here: the set, and its start. What must not: its end (see `_closing`), and changing it (see
`_reload._transition`).
"""

from __future__ import annotations

import logging
import random
import time
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import anyio

from remora._calls._fallback import renamed
from remora._calls._no_meter import NO_METER
from remora._calls._outage import cause_of
from remora._fleet._assembly import Surroundings
from remora._fleet._drain import Drains
from remora._fleet._generation import Generation
from remora._fleet._holding import Holding
from remora._fleet._requirements import Requirements
from remora._fleet._supervisor import Supervisor
from remora._plain import shortened
from remora.config import start_order
from remora.errors import ManagerClosed, PluginDisabled, PluginNotFound
from remora.io import loop_clock
from remora.types import DrainLifted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from anyio.abc import TaskGroup

    from remora._calls._caller import Caller
    from remora._extensions._catalog import Catalog
    from remora._extensions._conduct import Conduct
    from remora._fleet._assembly import Part
    from remora._fleet._generation import Plugged
    from remora._telemetry._meters import Meters
    from remora.config import ManagerConfig, PluginConfig
    from remora.types import Call, Event, Reply


class Fleet:
    """
    The plugins of a manager.

    Attributes:
        config: The configuration that is in force.
        drains: The drains that are under way.
        is_closed: Whether nothing is started any more.
        meters: The metrics of their calls; None when they are switched off.
    """

    def __init__(
        self,
        config: ManagerConfig,
        catalog: Catalog,
        *,
        publish: Callable[[Event], None],
        conduct: Conduct,
        rng: random.Random | None,
    ) -> None:
        self.config = config
        self.catalog = catalog
        self.drains = Drains(publish)
        self.is_closed = False
        self.meters: Meters | None = None
        self._tell = publish
        self._conduct = conduct
        self._rng = rng  # else made when the fleet is entered: processes that are forked before share no luck
        self._plugged: dict[str, Plugged] = {}
        self._holding = Holding(self)
        self._requirements = Requirements(self._is_up, self._why_out)
        self._supervisor: Supervisor | None = None
        self._group: TaskGroup | None = None

    def __iter__(self) -> Iterator[Plugged]:
        return iter(self._plugged.values())

    def __contains__(self, name: object) -> bool:
        return name in self._plugged

    def __getitem__(self, name: str) -> Plugged:
        """
        The plugin with a name.

        Raises:
            ManagerClosed: Nothing has been started yet.
            PluginNotFound: No plugin of that name is configured.
            PluginDisabled: It is switched off.
        """
        self.entered()
        try:
            return self._plugged[name]
        except KeyError:
            if name in self.config.plugins and not self.config.plugins[name].enabled:
                raise PluginDisabled("it is configured with enabled = false", plugin=name) from None
            known = ", ".join(sorted(self._plugged)) or "none"
            raise PluginNotFound(f"no plugin named {name!r} is configured; there are: {known}") from None

    def get(self, name: str) -> Plugged | None:
        """
        The plugin with a name; None when there is none.
        """
        return self._plugged.get(name)

    @property
    def names(self) -> list[str]:
        """
        The names of the plugins that are in force.
        """
        return list(self._plugged)

    def find(self, name: str) -> PluginConfig:
        """
        The table of a plugin, even of one that is switched off.

        Raises:
            PluginNotFound: No plugin of that name is configured.
        """
        known = self.config.plugins.get(name)
        return self[name].config if known is None else known

    def caller(self, name: str) -> Caller:
        """
        The caller of a plugin. Raises as `self[name]`.
        """
        return self[name].caller

    def publish(self, event: Event) -> None:
        """
        Publish an event, and those that follow from it for dependants of the plugin, unless all are being closed.
        """
        self._tell(event)
        if self.is_closed:
            return
        for each in self._requirements.news(event, self.config.plugins):
            self._tell(each)

    def entered(self) -> Supervisor:
        """
        The supervisor, which owns the instances.

        Raises:
            ManagerClosed: Nothing has been started yet.
        """
        if self._supervisor is None:
            raise ManagerClosed("the manager has not been entered: use `async with`")
        return self._supervisor

    def running(self) -> Supervisor:
        """
        The supervisor, while instances may be started and stopped.

        Raises:
            ManagerClosed: Nothing has been started yet, or nothing is started any more.
        """
        supervisor = self.entered()
        if self.is_closed:
            raise ManagerClosed("the manager is shut down")
        return supervisor

    def enter(self, group: TaskGroup) -> None:
        """
        Run the tasks that own instances in a group from now on.
        """
        self._group = group
        self._rng = self._rng or random.Random()
        self._supervisor = Supervisor(group, publish=self.publish, rng=self._rng)

    def start(self) -> None:
        """
        Have all plugins opened, each after those that it requires; lazy ones are opened by their first call.

        Raises:
            ConfigError: One of them cannot be made.
        """
        for name in chain.from_iterable(start_order(self.config.plugins)):
            plugged = self.draft(self.config.plugins[name], self.config).settle()
            self.put(plugged)
            if plugged.config.start == "lazy":
                self.doze(plugged)
            else:
                self._begin(plugged)
        self._plugged = {name: self._plugged[name] for name in self.config.plugins if name in self._plugged}

    def draft(self, plugin: PluginConfig, config: ManagerConfig, former: Plugged | None = None) -> Generation:
        """
        The next generation of a plugin, built alongside the present one.

        Raises:
            ConfigError: It cannot be made.
        """
        assert self._rng is not None  # since it has been entered
        assert self._group is not None
        lent = Surroundings(
            publish=self.publish,
            ask=self._ask,
            conduct=self._conduct,
            clock=loop_clock(),
            rng=self._rng,
            start=self._group.start_soon,
            security=config.security,
            interceptors=config.interceptors,
        )
        return Generation(self.catalog, plugin, lent, former)

    def count_with(self, meters: Meters | None) -> None:
        """
        Count all calls in these meters from now on; None to stop counting.
        """
        self.meters = meters
        for plugged in self:
            route, kept = plugged.route, self._supervisor.kept_open(plugged.route) if self._supervisor else []
            route.meter = NO_METER
            for each in (*kept, *route.instances):
                each.meter = NO_METER
            if meters is not None:
                meters.attach(route)
                for each in kept:
                    meters.show(route, each)

    def put(self, plugged: Plugged) -> None:
        """
        Make a plugin available under its name.
        """
        self._plugged[plugged.config.name] = plugged
        if self.meters is not None:
            self.meters.attach(plugged.route)
            self.meters.rename(plugged.route)

    def take(self, name: str) -> Plugged | None:
        """
        Make a plugin unavailable; returns it, or None when there was none.
        """
        return self._plugged.pop(name, None)

    def accept(self, config: ManagerConfig) -> None:
        """
        Put this configuration in force.
        """
        self.config = config
        self._plugged = {name: self._plugged[name] for name in config.plugins if name in self._plugged}
        logging.getLogger("remora").setLevel(config.log_level.upper())

    def doze(self, plugged: Plugged) -> None:
        """
        Have a plugin opened by its first call.
        """
        plugged.route.doze(partial(self._begin, plugged))

    def open(self, plugged: Plugged, parts: Iterable[Part]) -> None:
        """
        Have parts of a plugin opened and kept open, and those that it requires if they wait for their first call.

        Raises:
            ManagerClosed: Nothing is started any more.
        """
        supervisor = self.running()
        self._holding.rouse_required(plugged)
        for part in parts:
            if self.meters is not None:
                self.meters.show(plugged.route, part.instance)
            supervisor.start(plugged.route, part)

    def hold(self, plugged: Plugged) -> None:
        """
        Have a plugin opened once all that it requires have been up.
        """
        assert self._group is not None
        self._holding.hold(plugged, self._group)

    def is_held(self, plugged: Plugged) -> bool:
        """
        Whether a plugin waits for those that it requires or for its first call, to be opened then with the parts that
        it has at that time.
        """
        return plugged in self._holding or plugged.route.is_dormant

    def reopen(self, plugged: Plugged) -> None:
        """
        Admit calls of a plugin again; reopen its open instances, and open those that were cut or wait for a first call.

        Raises:
            ManagerClosed: Nothing is started any more.
        """
        supervisor, cut = self.running(), [part for part in plugged.parts if part.instance.is_cut]
        if plugged.route.reopen():
            self.publish(DrainLifted(time=time.time(), plugin=plugged.config.name, cause="a restart was asked for"))
        for part in plugged.parts:
            supervisor.restart(part.instance)
        self.open(plugged, cut)
        plugged.route.rouse()

    def close(self) -> None:
        """
        Refuse new calls, and start nothing any more.
        """
        self.is_closed = True
        if self._supervisor is not None:
            self._supervisor.close()
        for plugged in self:
            plugged.route.close()

    def hurry(self) -> None:
        """
        Stop waiting for calls under way.
        """
        self.drains.hurry()
        self.entered().hurry()

    def _is_up(self, name: str) -> bool:
        return name in self._plugged and self._plugged[name].route.is_up

    def _why_out(self, name: str, instance: str) -> str:
        errors = [part.instance.error for part in self._plugged[name].parts if part.instance.name == instance]
        return next((shortened(cause_of(each)) for each in errors if each is not None), "it was stopped")

    def _begin(self, plugged: Plugged) -> None:
        """
        Open a plugin, at once or after those that it requires.

        Raises:
            ManagerClosed: Nothing is started any more.
        """
        self.running()
        if plugged.config.requires:
            self.hold(plugged)
        else:
            self.open(plugged, plugged.parts)

    async def _ask(self, name: str, call: Call, plugin: PluginConfig) -> Reply:
        """
        Call another plugin than the one that was called, within the time that the call has left.
        """
        remaining = None if call.deadline is None else call.deadline - anyio.current_time()
        other = self.caller(name)
        return await other.pipeline(renamed(call, plugin, other.route.config), remaining)
