"""
What is known about the health of an instance, and when to ask next.

Theory of operation: probes move the state by the table below. Failed probes in a row make an instance unhealthy, then
offline; from either, the first good one makes it degraded and the second healthy. What the plugin says about itself is
taken at its word: "degraded" stays until a probe says otherwise, "unhealthy" is a failed probe, "unknown" says nothing.

Calls know too. Failures in a row make an instance unhealthy, so that others are preferred and it is probed soon, but
never offline: calls may fail for reasons of their own, and leaving an instance alone for them is the circuit breaker's
business. Successful calls lift what calls brought down, and finish a recovery that a probe began; they never talk over
a probe that failed, nor over the plugin's own word.

No locks: the event loop serialises, because no method awaits. Sources: Envoy's health checking, for the jitter and the
shorter interval after a failure; Kubernetes' thresholds.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from remora._frozen import dataclass
from remora.policy._change import StateChange
from remora.types import Status
from remora.values import Count, Duration, check_limits

if TYPE_CHECKING:
    from remora.policy._chance import Chance


class HealthSignal(StrEnum):
    """
    What moves the health of an instance.
    """

    PASSED = "a check passed"
    WEAK = "the plugin says that it is degraded"
    FAILED = "a check failed"
    EXCEEDED = "too many checks failed in a row"
    LOST = "the instance is gone"
    RESET = "the instance is started anew"


TRANSITIONS = {
    (Status.UNKNOWN, HealthSignal.PASSED): Status.HEALTHY,
    (Status.UNKNOWN, HealthSignal.WEAK): Status.DEGRADED,
    (Status.UNKNOWN, HealthSignal.FAILED): Status.UNHEALTHY,
    (Status.UNKNOWN, HealthSignal.EXCEEDED): Status.OFFLINE,
    (Status.UNKNOWN, HealthSignal.LOST): Status.OFFLINE,
    (Status.HEALTHY, HealthSignal.WEAK): Status.DEGRADED,
    (Status.HEALTHY, HealthSignal.FAILED): Status.UNHEALTHY,
    (Status.HEALTHY, HealthSignal.EXCEEDED): Status.OFFLINE,
    (Status.HEALTHY, HealthSignal.LOST): Status.OFFLINE,
    (Status.HEALTHY, HealthSignal.RESET): Status.UNKNOWN,
    (Status.DEGRADED, HealthSignal.PASSED): Status.HEALTHY,
    (Status.DEGRADED, HealthSignal.FAILED): Status.UNHEALTHY,
    (Status.DEGRADED, HealthSignal.EXCEEDED): Status.OFFLINE,
    (Status.DEGRADED, HealthSignal.LOST): Status.OFFLINE,
    (Status.DEGRADED, HealthSignal.RESET): Status.UNKNOWN,
    (Status.UNHEALTHY, HealthSignal.PASSED): Status.DEGRADED,
    (Status.UNHEALTHY, HealthSignal.WEAK): Status.DEGRADED,
    (Status.UNHEALTHY, HealthSignal.EXCEEDED): Status.OFFLINE,
    (Status.UNHEALTHY, HealthSignal.LOST): Status.OFFLINE,
    (Status.UNHEALTHY, HealthSignal.RESET): Status.UNKNOWN,
    (Status.OFFLINE, HealthSignal.PASSED): Status.DEGRADED,
    (Status.OFFLINE, HealthSignal.WEAK): Status.DEGRADED,
    (Status.OFFLINE, HealthSignal.RESET): Status.UNKNOWN,
}
"""What is not in the table changes nothing."""

_HEALTHY = Status.HEALTHY  # a global name is found faster than a member

SOON = 1.0
"""The longest interval between probes while it is open whether an instance is well, in seconds."""


SHORTEST = 0.01
"""The shortest interval between probes, in seconds; whoever configures less shall not keep the machine busy with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheckConfig:
    """
    How an instance is probed.

    Attributes:
        enabled: Whether it is.
        interval: Seconds between probes.
        timeout: Seconds that a probe may take.
        failure_limit: Failed probes in a row that take an instance offline; as many failed calls make it unhealthy.
        endpoint: HTTP: what to get; 2xx is healthy.
    """

    enabled: bool = True
    interval: Duration = 30.0
    timeout: Duration = 5.0
    failure_limit: Count = 3
    endpoint: str = ""

    def __post_init__(self) -> None:
        check_limits(self)
        if self.interval < self.timeout:
            raise ValueError(f"interval: expected at least timeout, {self.timeout:g} s, got {self.interval!r}")


class HealthState:
    """
    The health of one instance.

    Attributes:
        status: The verdict.
        cause: Why it is that, in a few words.
        failures: Failed probes in a row.
        failed_calls: Failed calls in a row.
    """

    __slots__ = ("_config", "_rng", "_says_degraded", "cause", "failed_calls", "failures", "status")

    def __init__(self, config: HealthCheckConfig, *, rng: Chance) -> None:
        self._config = config
        self._rng = rng
        self.status = Status.UNKNOWN
        self.cause = ""
        self.failures = 0
        self.failed_calls = 0
        self._says_degraded = False

    @property
    def takes_calls(self) -> bool:
        """
        Whether calls may be sent to it at all.
        """
        return self.standing is not Status.OFFLINE

    @property
    def standing(self) -> Status:
        """
        The status as far as calls are concerned. Where nobody probes, nothing would lift a bad one, so none counts.
        """
        return self.status if self._config.enabled else Status.UNKNOWN

    def probed(self, status: Status, cause: str = "") -> StateChange[Status] | None:
        """
        The plugin has answered a probe.
        """
        if status in (Status.UNHEALTHY, Status.OFFLINE):
            return self.probe_failed(cause or f"the plugin says that it is {status}")
        if status is Status.UNKNOWN:
            return None
        self.failures = self.failed_calls = 0
        self._says_degraded = status is Status.DEGRADED
        return self._move(HealthSignal.WEAK if self._says_degraded else HealthSignal.PASSED, cause)

    def probe_failed(self, cause: str = "") -> StateChange[Status] | None:
        """
        The plugin could not be asked, or gave no answer in time.
        """
        self.failures += 1
        is_over = self.failures >= self._config.failure_limit
        return self._move(HealthSignal.EXCEEDED if is_over else HealthSignal.FAILED, cause)

    def call_succeeded(self) -> StateChange[Status] | None:
        """
        A call has ended well.
        """
        self.failed_calls = 0
        if self.status is _HEALTHY or self.status is Status.OFFLINE or self.failures or self._says_degraded:
            return None
        return self._move(HealthSignal.PASSED, "a call succeeded")

    def call_failed(self, cause: str = "") -> StateChange[Status] | None:
        """
        A call has failed in a way that speaks against the instance.
        """
        self.failed_calls += 1
        if self.failed_calls < self._config.failure_limit:
            return None
        return self._move(HealthSignal.FAILED, cause)

    def lost(self, cause: str = "") -> StateChange[Status] | None:
        """
        The instance is gone: its process ended, or its connection broke and is not back yet.
        """
        return self._move(HealthSignal.LOST, cause)

    def reset(self) -> StateChange[Status] | None:
        """
        The instance is started anew, and nothing is known about it.
        """
        self.failures = self.failed_calls = 0
        self._says_degraded = False
        return self._move(HealthSignal.RESET)

    def retune(self, config: HealthCheckConfig) -> None:
        """
        Take another configuration; it holds from the next probe on.
        """
        self._config = config

    def next_check(self) -> float:
        """
        The seconds until the next probe: the interval, jittered by a tenth, or less while it is open how things are.
        """
        return max(SHORTEST, self._interval() * self._rng.uniform(0.9, 1.1))

    def soonest_check(self) -> float:
        """
        The seconds from one probe to the next at least, whatever calls give reason to.
        """
        return min(SOON, self._config.interval)

    def _interval(self) -> float:
        is_open = self.status is Status.UNHEALTHY or (self.status is Status.DEGRADED and not self._says_degraded)
        return self.soonest_check() if is_open or self.failed_calls else self._config.interval

    def _move(self, signal: HealthSignal, cause: str = "") -> StateChange[Status] | None:
        after = TRANSITIONS.get((self.status, signal), self.status)
        change = StateChange(self.status, after, cause or signal.value) if after is not self.status else None
        if change is not None or signal in (HealthSignal.FAILED, HealthSignal.EXCEEDED):
            self.cause = cause or signal.value
        self.status = after
        return change
