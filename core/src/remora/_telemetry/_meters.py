"""
What a manager counts: which series exist while plugins and instances come and go, and what events add to them.

What lives here: the life of series. What must not: the metrics' names (see `_metric_table`), and counting calls
(see `_call_meters`).
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from remora._calls._instance import State
from remora._calls._no_meter import NO_METER
from remora._telemetry import _metric_table as table
from remora._telemetry._call_meters import InstanceMeter, PluginMeter
from remora.policy import BreakerState
from remora.types import (
    BreakerChanged,
    FallbackUsed,
    InstanceFailed,
    InstanceLost,
    InstanceReady,
    InstanceStopped,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remora._calls._instance import Instance
    from remora._calls._route import Route
    from remora.metrics import Counter, Gauge, Histogram, MetricsRegistry
    from remora.metrics._instruments import Instrument
    from remora.types import Event

_MOST_DEPARTED = 100
_RELOADS = {"ReloadApplied": "applied", "ReloadRolledBack": "rolled_back", "ConfigRejected": "rejected"}


class Meters:
    """
    The built-in metrics of one manager.
    """

    def __init__(self, registry: MetricsRegistry) -> None:
        self.registry = registry
        self.requests: Counter = table.REQUESTS.counter(registry)
        self.duration: Histogram = table.DURATION.histogram(registry)
        self.in_flight: Gauge = table.IN_FLIGHT.gauge(registry)
        self.retries: Counter = table.RETRIES.counter(registry)
        self.no_budget: Counter = table.NO_BUDGET.counter(registry)
        self._budget = table.BUDGET.gauge(registry)
        self.rate_limited: Counter = table.RATE_LIMITED.counter(registry)
        self.attempts: Counter = table.ATTEMPTS.counter(registry)
        self.attempt_duration: Histogram = table.ATTEMPT_DURATION.histogram(registry)
        self._fallbacks = table.FALLBACKS.counter(registry)
        self._attempts_in_flight = table.ATTEMPTS_IN_FLIGHT.gauge(registry)
        self._up = table.UP.gauge(registry)
        self._health = table.HEALTH.gauge(registry)
        self._breaker = table.BREAKER.gauge(registry)
        self._breaker_changes = table.BREAKER_CHANGES.counter(registry)
        self._losses = table.LOSSES.counter(registry)
        self._restarts = table.RESTARTS.counter(registry)
        self._reloads = table.RELOADS.counter(registry)
        self._faults = table.FAULTS.counter(registry)
        self._of_instances = (self.attempts, self.attempt_duration, self._breaker_changes, self._losses, self._restarts)
        self._of_plugins = (
            self.requests,
            self.duration,
            self.retries,
            self.no_budget,
            self.rate_limited,
            self._fallbacks,
        )
        self._instances: dict[tuple[str, str], Peers] = {}
        self._plugins: dict[str, PluginMeter] = {}
        self._routes: defaultdict[str, list[Route]] = defaultdict(list)
        self._departed: dict[str, None] = {}
        self._is_closing = False

    def attach(self, route: Route) -> None:
        """
        Give a plugin its meter. A plugin whose name is known from before continues its counts.
        """
        if route.meter is NO_METER:
            self._departed.pop(route.name, None)
            route.meter = self._plugins.setdefault(route.name, PluginMeter(self, route.name))
            self._routes[route.name].append(route)
            self._watch_plugin(route.name)

    def detach(self, route: Route) -> None:
        """
        A plugin is gone: its counts stay, its state is not shown any more. The counts of only so many plugins that are
        gone are kept, the most recent ones.
        """
        routes = self._routes[route.name]
        if self._is_closing or route not in routes:
            return
        routes.remove(route)
        if not routes:
            del self._routes[route.name]
            for gauge in (self.in_flight, self._budget):
                gauge.remove(route.name)
            self._departed[route.name] = None
            if len(self._departed) > _MOST_DEPARTED:
                self._drop_plugin(next(iter(self._departed)))

    def rename(self, route: Route) -> None:
        """
        Count instances that a reload has renamed under their new names; each begins anew there.
        """
        for instance in route.instances:
            meter = instance.meter
            if isinstance(meter, InstanceMeter) and meter.instance != instance.name:
                self._hide((route.name, meter.instance), [instance])
                self.show(route, instance)

    def show(self, route: Route, instance: Instance) -> None:
        """
        Give an instance that is about to be opened its meter, and show its state until it has stopped and there is no
        other one of its name.
        """
        key = (route.name, instance.name)
        if (peers := self._instances.get(key)) is None:
            peers = self._instances[key] = Peers(InstanceMeter(self, *key), [])
            self._watch_instance(key, peers.instances)
        if instance not in peers.instances:
            peers.instances.append(instance)
        instance.meter = peers.meter

    def _watch_plugin(self, plugin: str) -> None:
        routes = self._routes[plugin]
        self.in_flight.watch(lambda: sum(each.calls.active for each in routes), plugin)
        self._budget.watch(lambda: max([0.0, *(each.budget.balance for each in routes)]), plugin)

    def _watch_instance(self, key: tuple[str, str], peers: list[Instance]) -> None:
        self._attempts_in_flight.watch(lambda: sum(each.in_flight for each in peers), *key)
        routes = self._routes[key[0]]
        self._up.watch(lambda: _called(peers, routes).state is State.READY, *key)
        for status in Status:
            self._health.watch(_Shows(peers, routes, status), *key, status.value)
        for state in BreakerState:
            self._breaker.watch(_Shows(peers, routes, state), *key, state.value)

    def _unwatch(self, key: tuple[str, str]) -> None:
        for gauge in (self._attempts_in_flight, self._up):
            gauge.remove(*key)
        for status in Status:
            self._health.remove(*key, status)
        for state in BreakerState:
            self._breaker.remove(*key, state)

    def observe(self, event: Event) -> None:
        """
        Count a lifecycle event.
        """
        match event:
            case BreakerChanged():
                self._breaker_changes.inc(event.plugin, event.instance, event.after)
            case InstanceReady(starts=starts) if starts > 1:
                self._restarts.inc(event.plugin, event.instance)
            case InstanceLost() | InstanceFailed():
                self._losses.inc(event.plugin, event.instance)
            case FallbackUsed():
                self._fallbacks.inc(event.plugin, event.kind)
            case InstanceStopped() if not self._is_closing:
                self._forget(event.plugin)
        if (outcome := _RELOADS.get(type(event).__name__)) is not None:
            self._reloads.inc(outcome)

    def fault(self, culprit: str, kind: str) -> None:
        """
        Count what an extension did wrong.
        """
        self._faults.inc(culprit, kind)

    def closing(self) -> None:
        """
        The manager shuts down: the counts of instances must be kept after they have stopped, until they are exported.
        """
        self._is_closing = True

    def _forget(self, plugin: str) -> None:
        """
        Drop the series of instances that have stopped; found by state, since a reload may have renamed one.
        """
        for key, peers in list(self._instances.items()):
            if key[0] == plugin:
                self._hide(key, [each for each in peers.instances if each.state is State.STOPPED])

    def _hide(self, key: tuple[str, str], gone: list[Instance]) -> None:
        peers = self._instances[key]
        left = [each for each in peers.instances if each not in gone]
        if left:
            peers.instances[:] = left
        else:
            del self._instances[key]
            peers.meter.end()
            self._unwatch(key)
            _drop(self._of_instances, key)

    def _drop_plugin(self, plugin: str) -> None:
        del self._departed[plugin]
        self._plugins.pop(plugin).end()
        _drop(self._of_plugins, (plugin,))


class Peers(NamedTuple):
    """
    The instances of one name, which share a meter: those that are leaving, the one that is called, and then one that a
    reload tries, which may never be called.
    """

    meter: InstanceMeter
    instances: list[Instance]


def _drop(metrics: Iterable[Instrument], key: tuple[str, ...]) -> None:
    for metric in metrics:
        for labels, _ in metric.series.items():
            if labels[: len(key)] == key:
                metric.remove(*labels)


def _called(peers: list[Instance], routes: list[Route]) -> Instance:
    """
    The one of these that is called; the newest when none is.
    """
    in_force = [each for each in peers if any(each in route.instances for route in routes)]
    return (in_force or peers)[-1]


class _Shows:
    """
    Reads whether the instance among these that is called has a certain health or circuit breaker state.
    """

    __slots__ = ("_peers", "_routes", "_wanted")

    def __init__(self, peers: list[Instance], routes: list[Route], wanted: Status | BreakerState) -> None:
        self._peers, self._routes, self._wanted = peers, routes, wanted

    def __call__(self) -> bool:
        instance = _called(self._peers, self._routes)
        return self._wanted is instance.condition.status or self._wanted is instance.breaker.state
