"""
What a manager can say about its calls and its plugins at one moment.

What lives here: records, and putting them together. What must not: counting (see `metrics`).
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from remora._frozen import dataclass
from remora._telemetry import _metric_table as table
from remora._telemetry._call_meters import OK, InstanceMeter, PluginMeter
from remora.metrics import Distribution
from remora.policy import BreakerState, DrainState
from remora.types import HealthStatus  # noqa: TC001, codecs look the field's type up

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from remora._calls._instance import Instance
    from remora._calls._route import Route
    from remora._telemetry._call_meters import Failure
    from remora.metrics import MetricBatch, MetricsRegistry

__all__ = ["InstanceMetrics", "LastError", "Latencies", "ObservabilityMetrics", "PluginMetrics"]

_BEST_FIRST = (BreakerState.CLOSED, BreakerState.HALF_OPEN, BreakerState.OPEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Latencies:
    """
    How long calls took, in seconds; all 0 when there were none.

    Attributes:
        mean: On average.
        p50: Half of them took no longer.
        p95: 95 of 100 took no longer.
        p99: 99 of 100 took no longer.
    """

    mean: float = 0.0
    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LastError:
    """
    The last error that there was.

    Attributes:
        time: When, in seconds since the epoch.
        code: Its code.
        message: What it said.
        instance: Where it happened; empty for errors of the host itself.
    """

    time: float
    code: str
    message: str
    instance: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceMetrics:
    """
    What there is to say about one instance.

    Attributes:
        total_requests: Attempts that were sent to it and have ended.
        success_rate: The share of them that succeeded; 1 when there were none.
        errors: How many ended with which code.
        latency: How long they took.
        in_flight: Attempts under way.
        state: What it is doing: starting, ready, waiting, failed or stopped; dormant before the first call starts it.
        breaker_state: The state of its circuit breaker: closed, half-open or open.
        health: Its health.
        last_error: The last attempt that failed; None when none did.
    """

    total_requests: int
    success_rate: float
    errors: Mapping[str, int]
    latency: Latencies
    in_flight: int
    state: str
    breaker_state: str
    health: HealthStatus
    last_error: LastError | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginMetrics:
    """
    What there is to say about one plugin.

    Attributes:
        total_requests: Calls that have ended, whichever way.
        success_rate: The share of them that were answered; 1 when there were none.
        errors: How many ended with which code.
        latency: How long they took, with all attempts and pauses.
        in_flight: Calls under way.
        is_draining: Whether new calls are refused, while those under way end.
        retries: How often a call was tried again after an attempt had failed.
        breaker_state: The best that there is among its instances: closed, half-open or open.
        health: Its health.
        last_error: The last call that failed; None when none did.
        instances: Its instances, by name.
    """

    total_requests: int
    success_rate: float
    errors: Mapping[str, int]
    latency: Latencies
    in_flight: int
    is_draining: bool
    retries: int
    breaker_state: str
    health: HealthStatus
    last_error: LastError | None
    instances: Mapping[str, InstanceMetrics]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservabilityMetrics:
    """
    What there is to say about a host.

    Attributes:
        time: When it was said, in seconds since the epoch.
        total_requests: Calls that have ended, of all the plugins that are there.
        overall_success_rate: The share of them that were answered; 1 when there were none.
        plugin_metrics: Its plugins, by name.
    """

    time: float
    total_requests: int
    overall_success_rate: float
    plugin_metrics: Mapping[str, PluginMetrics]


def observe(routes: Mapping[str, Route], registry: MetricsRegistry) -> ObservabilityMetrics:
    """
    What there is to say about some plugins; see `Manager.observability`.
    """
    snapshot = registry.snapshot()
    plugins = {name: _plugin(route, snapshot) for name, route in routes.items()}
    total = sum(each.total_requests for each in plugins.values())
    failed = sum(sum(each.errors.values()) for each in plugins.values())
    return ObservabilityMetrics(
        time=snapshot.time, total_requests=total, overall_success_rate=_rate(total, failed), plugin_metrics=plugins
    )


def _plugin(route: Route, snapshot: MetricBatch) -> PluginMetrics:
    meter = route.meter if isinstance(route.meter, PluginMeter) else None
    total, errors = _counted(meter)
    states = {each.breaker.state for each in route.instances}
    return PluginMetrics(
        total_requests=total,
        success_rate=_rate(total, sum(errors.values())),
        errors=errors,
        latency=_latencies(_spreads(snapshot, route.name)),
        in_flight=route.calls.active,
        is_draining=route.calls.state is not DrainState.OPEN,
        retries=0 if meter is None else int(meter.retries.read()),
        breaker_state=str(next((state for state in _BEST_FIRST if state in states), BreakerState.CLOSED)),
        health=route.health(),
        last_error=_last_error(None if meter is None else meter.last_failure),
        instances={each.name: _instance(each) for each in route.instances},
    )


def _instance(instance: Instance) -> InstanceMetrics:
    meter = instance.meter if isinstance(instance.meter, InstanceMeter) else None
    total, errors = _counted(meter)
    return InstanceMetrics(
        total_requests=total,
        success_rate=_rate(total, sum(errors.values())),
        errors=errors,
        latency=_latencies([] if meter is None else [meter.duration.read()]),
        in_flight=instance.in_flight,
        state=str(instance.state),
        breaker_state=str(instance.breaker.state),
        health=instance.health,
        last_error=_last_error(None if meter is None else meter.last_failure),
    )


def _counted(meter: PluginMeter | InstanceMeter | None) -> tuple[int, dict[str, int]]:
    codes = Counter({} if meter is None else meter.codes)
    return codes.total(), {str(code): count for code, count in codes.items() if code != OK}


def _rate(total: int, failed: int) -> float:
    return (total - failed) / total if total else 1.0


def _spreads(snapshot: MetricBatch, plugin: str) -> Sequence[Distribution]:
    metric = snapshot.metric(table.DURATION.name)
    points = () if metric is None else metric.points
    return [each.value for each in points if each.labels[0] == plugin and isinstance(each.value, Distribution)]


def _latencies(spreads: Iterable[Distribution]) -> Latencies:
    found = [each for each in spreads if each.count]
    if not found:
        return Latencies()
    counts = tuple(map(sum, zip(*(each.counts for each in found), strict=True)))
    whole = Distribution(found[0].bounds, counts, sum(each.sum for each in found), (None,) * len(counts))
    quantiles = {f"p{share}": whole.quantile(share / 100) for share in (50, 95, 99)}
    return Latencies(mean=whole.sum / whole.count, **quantiles)


def _last_error(failure: Failure | None) -> LastError | None:
    if failure is None:
        return None
    return LastError(time=failure.time, code=str(failure.code), message=failure.message, instance=failure.instance)
