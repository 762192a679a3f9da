"""
A plugin, and its next generation, which is built alongside it and put in force in one step.

What lives here: the parts that stay, come and go. What must not: opening and closing them (see `_reload._transition`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from remora._calls._caller import Caller
from remora._calls._pipeline import Pipeline
from remora._calls._route import Route
from remora._extensions._interception import Interception
from remora._fleet._assembly import balancing_of, fallback_of, make_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remora._calls._balancing import Balancing
    from remora._calls._fallback import Fallback
    from remora._extensions._catalog import Catalog
    from remora._fleet._assembly import Part, Surroundings
    from remora.config import PluginConfig


@dataclass(slots=True, eq=False)
class Plugged:
    """
    A plugin in force: its state, its caller, and its parts.
    """

    route: Route
    caller: Caller
    parts: Sequence[Part]
    fallback: Fallback | None

    @property
    def config(self) -> PluginConfig:
        """
        Its table.
        """
        return self.route.config

    def exchange(self, new: Part | None, old: Part | None) -> None:
        """
        Replace an old part by a new one; without the one add, without the other remove.
        """
        parts = [part for part in self.parts if old is None or part.instance is not old.instance]
        self.parts = [*parts, *([new] if new is not None else [])]
        self.route.place([part.instance for part in self.parts])


class Generation:
    """
    The next generation of a plugin.

    Attributes:
        config: The table that it will have.
        plugged: The plugin in force; when there is none yet, a new one.
        new: The parts that are to be opened.
        gone: The parts that are not needed any more.
        kept: The parts that stay.
    """

    def __init__(
        self, catalog: Catalog, config: PluginConfig, lent: Surroundings, former: Plugged | None = None
    ) -> None:
        self.config = config
        self.is_first = former is None
        self._lent = lent
        self._parts = make_parts(catalog, config, lent, _known(former, config))
        self._balancing = _balancing(catalog, config, lent, former)
        self._fallback = fallback_of(config, lent)
        present = former.route.interception if former is not None else None
        self._interception = Interception.of(catalog, config, lent.interceptors, present)
        self.plugged = former or self._plug(catalog)
        there = {part.instance for part in former.parts} if former else set()
        wanted = {part.instance for part in self._parts}
        self.new = [part for part in self._parts if part.instance not in there]
        self.kept = [part for part in self._parts if part.instance in there]
        self.gone = [part for part in former.parts if part.instance not in wanted] if former else []

    @property
    def is_lazy(self) -> bool:
        """
        Whether it still waits for the first call, which opens it.
        """
        return self.config.start == "lazy" and (self.is_first or self.plugged.route.is_dormant)

    def settle(self) -> Plugged:
        """
        Put it in force, for new calls and for further attempts at those under way.
        """
        plugged, route = self.plugged, self.plugged.route
        if self.is_first:
            return plugged
        route.retune(self.config, self._balancing)
        self._intercept(route)
        for part in self.kept:
            change = part.instance.retune(part.place.name, part.place.endpoint, self.config)
            route.breaker_changed(part.instance, change)
        plugged.parts = self._parts
        if self.config.start == "eager":
            route.opener = None
        route.place([part.instance for part in self._parts])
        if self._fallback is not None:
            self._fallback.follow(plugged.fallback)
        plugged.fallback = self._fallback
        plugged.caller.pipeline = self._pipeline(route)
        return plugged

    def _plug(self, catalog: Catalog) -> Plugged:
        route = Route(
            self.config,
            [part.instance for part in self._parts],
            balancing=self._balancing,
            clock=self._lent.clock,
            publish=self._lent.publish,
            conduct=self._lent.conduct,
        )
        route.interception = self._interception
        return Plugged(route, Caller(route, self._pipeline(route), catalog), self._parts, self._fallback)

    def _intercept(self, route: Route) -> None:
        """
        Exchange the interceptors. Calls under way end with those that are around them.
        """
        if route.interception is not self._interception:
            route.interception = self._interception
            for part in self._parts:
                part.instance.prepared = None

    def _pipeline(self, route: Route) -> Pipeline:
        return Pipeline(route, fallback=self._fallback, rng=self._lent.chance())


def _known(former: Plugged | None, config: PluginConfig) -> Sequence[Part]:
    """
    The parts that may be kept: not those that wait for a first call when the plugin is no longer lazy.
    """
    if former is None or (former.route.is_dormant and config.start == "eager"):
        return ()
    return former.parts


def _balancing(catalog: Catalog, config: PluginConfig, lent: Surroundings, former: Plugged | None) -> Balancing | None:
    """
    The balancer: the present one, with what it has learned, unless its configuration changes.
    """
    if former is not None and former.config.balancer == config.balancer:
        return former.route.balancing
    return balancing_of(catalog, config, lent)
