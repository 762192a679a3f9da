"""
The metrics that every manager keeps, as a table; the documentation shows it.

What lives here: names and meanings. What must not: when something is counted (see `_meters`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remora._frozen import dataclass
from remora.metrics import MetricKind

if TYPE_CHECKING:
    from remora.metrics import Counter, Gauge, Histogram, MetricsRegistry

_COUNTER, _GAUGE, _HISTOGRAM = MetricKind.COUNTER, MetricKind.GAUGE, MetricKind.HISTOGRAM


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """
    One metric.
    """

    name: str
    kind: MetricKind
    labels: tuple[str, ...]
    description: str

    def counter(self, registry: MetricsRegistry) -> Counter:
        """
        This metric as a counter of a registry.
        """
        return registry.counter(self.name, self.description, self.labels)

    def gauge(self, registry: MetricsRegistry) -> Gauge:
        """
        This metric as a gauge of a registry.
        """
        return registry.gauge(self.name, self.description, self.labels)

    def histogram(self, registry: MetricsRegistry) -> Histogram:
        """
        This metric as a histogram of a registry.
        """
        return registry.histogram(self.name, self.description, labels=self.labels)


_OF_PLUGIN = ("plugin",)
_OF_INSTANCE = ("plugin", "plugin_instance")
"""The second is not called `instance`: Prometheus uses that label for the target that it scrapes."""

REQUESTS = BuiltIn(
    "remora_requests_total",
    _COUNTER,
    ("plugin", "method", "code"),
    "Calls that have ended, by the code that their caller got: that of the error, or OK.",
)
DURATION = BuiltIn(
    "remora_request_duration_seconds",
    _HISTOGRAM,
    ("plugin", "method"),
    "Seconds from the start of a call to its end, including all attempts and pauses.",
)
IN_FLIGHT = BuiltIn("remora_requests_in_flight", _GAUGE, _OF_PLUGIN, "Calls in flight.")
RETRIES = BuiltIn(
    "remora_retries_total",
    _COUNTER,
    _OF_PLUGIN,
    "Attempts made after an earlier one of the same call had failed.",
)
NO_BUDGET = BuiltIn(
    "remora_retries_refused_total",
    _COUNTER,
    _OF_PLUGIN,
    "Retries not made because the retry budget was used up.",
)
BUDGET = BuiltIn("remora_retry_budget", _GAUGE, _OF_PLUGIN, "Retries that the retry budget allows now.")
RATE_LIMITED = BuiltIn(
    "remora_rate_limited_total",
    _COUNTER,
    _OF_PLUGIN,
    "Calls that the rate limit refused, including those that a fallback answered.",
)
FALLBACKS = BuiltIn(
    "remora_fallbacks_total", _COUNTER, ("plugin", "kind"), "Calls that failed and were answered by a fallback."
)
ATTEMPTS = BuiltIn(
    "remora_attempts_total",
    _COUNTER,
    (*_OF_INSTANCE, "code"),
    "Attempts at an instance that have ended, by the code of the error, or OK.",
)
ATTEMPT_DURATION = BuiltIn(
    "remora_attempt_duration_seconds", _HISTOGRAM, _OF_INSTANCE, "Seconds that an attempt took at an instance."
)
ATTEMPTS_IN_FLIGHT = BuiltIn("remora_attempts_in_flight", _GAUGE, _OF_INSTANCE, "Attempts in flight at an instance.")
UP = BuiltIn("remora_instance_up", _GAUGE, _OF_INSTANCE, "1 while an instance is connected or its process runs.")
HEALTH = BuiltIn(
    "remora_instance_health",
    _GAUGE,
    (*_OF_INSTANCE, "status"),
    "1 for the health that an instance has: unknown, healthy, degraded, unhealthy or offline; 0 for the others.",
)
BREAKER = BuiltIn(
    "remora_breaker_state",
    _GAUGE,
    (*_OF_INSTANCE, "state"),
    "1 for the state that the circuit breaker of an instance is in: closed, half-open or open; 0 for the others.",
)
BREAKER_CHANGES = BuiltIn(
    "remora_breaker_changes_total", _COUNTER, (*_OF_INSTANCE, "to"), "Changes of a circuit breaker, by its new state."
)
LOSSES = BuiltIn(
    "remora_instance_losses_total", _COUNTER, _OF_INSTANCE, "Unexpected ends of an instance, and failed starts."
)
RESTARTS = BuiltIn("remora_restarts_total", _COUNTER, _OF_INSTANCE, "Times that an instance became ready again.")
RELOADS = BuiltIn(
    "remora_reloads_total", _COUNTER, ("outcome",), "Changes of the configuration: applied, rolled_back or rejected."
)
FAULTS = BuiltIn(
    "remora_extension_faults_total",
    _COUNTER,
    ("culprit", "kind"),
    "Faults of extensions: a failure is an exception, a delay blocked the event loop.",
)

BUILT_IN = (
    REQUESTS,
    DURATION,
    IN_FLIGHT,
    RETRIES,
    NO_BUDGET,
    BUDGET,
    RATE_LIMITED,
    FALLBACKS,
    ATTEMPTS,
    ATTEMPT_DURATION,
    ATTEMPTS_IN_FLIGHT,
    UP,
    HEALTH,
    BREAKER,
    BREAKER_CHANGES,
    LOSSES,
    RESTARTS,
    RELOADS,
    FAULTS,
)
