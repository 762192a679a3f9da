"""
What a manager counts: one meter for each plugin and each instance, which the call path tells how things ended.

A call costs two dictionary look-ups with keys at hand, two counts and two observations; everything else here happens
when something has failed or changed, or is asked for when somebody reads it.

What lives here: counting. What must not: the metrics' names (see `_built_in`), and any decision about a call.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from remora import _built_in as table
from remora._instance import State
from remora._no_meter import NO_METER
from remora._plain import shortened
from remora.metrics import BoundCounter
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

    from remora._instance import Instance
    from remora._route import Route
    from remora.errors import RemoraError
    from remora.metrics import BoundHistogram, MetricsRegistry
    from remora.metrics._instruments import Instrument
    from remora.types import Call, Event, TraceIds

OK = "OK"
_MOST_METHODS = 4096
_MOST_DEPARTED = 100
_RELOADS = {"ReloadApplied": "applied", "ReloadRolledBack": "rolled_back", "ConfigRejected": "rejected"}


class Failure(NamedTuple):
    """
    What is kept of an error: not the error itself, which would keep alive all that its traceback leads to.
    """

    time: float
    code: str
    message: str
    instance: str


def _failure(error: RemoraError, instance: str) -> Failure:
    return Failure(time.time(), error.code, shortened(error.message), instance)


class Meters:
    """
    The built-in metrics of one manager.
    """

    def __init__(self, registry: MetricsRegistry) -> None:
        self.registry = registry
        self.requests = table.REQUESTS.counter(registry)
        self.duration = table.DURATION.histogram(registry)
        self.in_flight = table.IN_FLIGHT.gauge(registry)
        self.retries = table.RETRIES.counter(registry)
        self.no_budget = table.NO_BUDGET.counter(registry)
        self._budget = table.BUDGET.gauge(registry)
        self.rate_limited = table.RATE_LIMITED.counter(registry)
        self.attempts = table.ATTEMPTS.counter(registry)
        self.attempt_duration = table.ATTEMPT_DURATION.histogram(registry)
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
        Give a plugin its meter. One of a name that was there before continues that.
        """
        if route.meter is NO_METER:
            self._departed.pop(route.name, None)
            route.meter = self._plugins.setdefault(route.name, PluginMeter(self, route.name))
            self._routes[route.name].append(route)
            self._watch_plugin(route.name)

    def detach(self, route: Route) -> None:
        """
        A plugin is gone: what it has counted stays, how it is is not said any more. Of plugins that come and go without
        end the last ones are kept.
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
        Count under their new names what a reload has renamed; each begins anew there.
        """
        for instance in route.instances:
            meter = instance.meter
            if isinstance(meter, InstanceMeter) and meter.instance != instance.name:
                self._hide((route.name, meter.instance), [instance])
                self.show(route, instance)

    def show(self, route: Route, instance: Instance) -> None:
        """
        Give an instance that is about to be opened its meter, and show how it is, until it has stopped and no other one
        of its name is there.
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
        self._budget.watch(lambda: max(0.0, *(each.budget.balance for each in routes)), plugin)

    def _watch_instance(self, key: tuple[str, str], peers: list[Instance]) -> None:
        self._attempts_in_flight.watch(lambda: sum(each.in_flight for each in peers), *key)
        self._up.watch(lambda: peers[-1].state is State.READY, *key)
        for status in Status:
            self._health.watch(partial(_is_status, peers, status), *key, status)
        for state in BreakerState:
            self._breaker.watch(partial(_is_in_state, peers, state), *key, state)

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
        The manager shuts down: what instances have counted is still to be exported after they have stopped.
        """
        self._is_closing = True

    def _forget(self, plugin: str) -> None:
        """
        Drop the series of instances that have stopped; by their state, since a reload may have given one another name.
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
    The instances of one name: the one that is called, after those that leave. They have one meter.
    """

    meter: InstanceMeter
    instances: list[Instance]


def _drop(metrics: Iterable[Instrument], key: tuple[str, ...]) -> None:
    for metric in metrics:
        for labels, _ in metric.series.items():
            if labels[: len(key)] == key:
                metric.remove(*labels)


def _is_status(peers: list[Instance], status: Status) -> bool:
    return peers[-1].condition.status is status


def _is_in_state(peers: list[Instance], state: BreakerState) -> bool:
    return peers[-1].breaker.state is state


class PluginMeter:
    """
    Counts the calls of one plugin.

    Attributes:
        retries: How often one was tried again.
        last_failure: The last one that failed.
    """

    def __init__(self, meters: Meters, plugin: str) -> None:
        self.retries = meters.retries.bind(plugin)
        self.last_failure: Failure | None = None
        self._meters = meters
        self._registry = meters.registry
        self._plugin = plugin
        self._no_budget = meters.no_budget.bind(plugin)
        self._rate_limited = meters.rate_limited.bind(plugin)
        self._ends: dict[tuple[str, str, str], _Ends] = {}
        self._past: Counter[str] = Counter()

    @property
    def codes(self) -> Counter[str]:
        """
        How its calls have ended.
        """
        codes = self._past.copy()
        for (_, _, code), ends in list(self._ends.items()):
            codes[code] += ends.tally.number
        return codes

    def ended(self, call: Call, seconds: float, failure: RemoraError | None) -> None:
        """
        A call has ended, as far as its caller can see.
        """
        code = OK if failure is None else failure.code
        try:
            ends = self._ends[call.service, call.method, code]
        except KeyError:
            ends = self._bind(call, code)
        if (tracing := self._registry.tracing) is None:
            ends.tally.add(seconds)
        else:
            ends.trace(seconds, tracing(call))
        if failure is not None:
            self.last_failure = _failure(failure, failure.instance or "")

    def retried(self) -> None:
        """
        A call is tried again.
        """
        self.retries.inc()

    def limited(self) -> None:
        """
        The rate limit has refused a call.
        """
        self._rate_limited.inc()

    def retry_refused(self) -> None:
        """
        A call is not tried again, since the budget has nothing left for it.
        """
        self._no_budget.inc()

    def end(self) -> None:
        """
        It is gone.
        """
        _absorb(self._ends)

    def _bind(self, call: Call, code: str) -> _Ends:
        if len(self._ends) >= _MOST_METHODS:  # whoever makes up methods shall not fill the memory
            self._past = self.codes
            _absorb(self._ends)
            self._ends.clear()
        requests = self._meters.requests.bind(self._plugin, call.name, code)
        duration = self._meters.duration.bind(self._plugin, call.name)
        ends = self._ends[call.service, call.method, code] = _Ends(requests, duration)
        return ends


class InstanceMeter:
    """
    Counts the attempts at one instance, also at the one that takes its place under the same name.

    Attributes:
        instance: Its name.
        duration: How long they took.
        last_failure: The last one that failed.
    """

    def __init__(self, meters: Meters, plugin: str, instance: str) -> None:
        self.instance = instance
        self.duration = meters.attempt_duration.bind(plugin, instance)
        self.last_failure: Failure | None = None
        self._registry = meters.registry
        self._attempts = meters.attempts
        self._labels = (plugin, instance)
        self._ends: dict[str, _Ends] = {}
        self._is_over = False

    @property
    def codes(self) -> Counter[str]:
        """
        How they have ended.
        """
        return Counter({code: ends.tally.number for code, ends in list(self._ends.items())})

    def attempted(self, call: Call, seconds: float, failure: RemoraError | None) -> None:
        """
        An attempt has ended.
        """
        code = OK if failure is None else failure.code
        try:
            ends = self._ends[code]
        except KeyError:
            ends = self._ends[code] = self._bind(code)
        if (tracing := self._registry.tracing) is None:
            ends.tally.add(seconds)
        else:
            ends.trace(seconds, tracing(call))
        if failure is not None:
            self.last_failure = _failure(failure, self._labels[1])

    def end(self) -> None:
        """
        It is gone; what still comes in makes no series of it any more.
        """
        self._is_over = True
        _absorb(self._ends)

    def _bind(self, code: str) -> _Ends:
        attempts = BoundCounter() if self._is_over else self._attempts.bind(*self._labels, code)
        return _Ends(attempts, self.duration)


class _Ends:
    """
    What has ended in one way: how often, and how long it took. Meters are on one thread, that of the event loop.
    """

    __slots__ = ("_duration", "_number", "tally")

    def __init__(self, number: BoundCounter, duration: BoundHistogram) -> None:
        self._number, self._duration = number, duration
        self.tally = duration.tally()
        number.include(self.tally)

    def trace(self, seconds: float, ids: TraceIds) -> None:
        """
        Something has ended that is part of a trace.
        """
        self.tally.number += 1
        self._duration.observe(seconds, **ids)

    def absorb(self) -> None:
        """
        Let the metrics keep the numbers.
        """
        self._number.absorb(self.tally)
        self._duration.absorb(self.tally)


def _absorb(ends: dict[Any, _Ends]) -> None:
    for each in ends.values():
        each.absorb()
