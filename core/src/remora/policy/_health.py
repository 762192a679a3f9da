"""
The health of an instance, and when to probe it next.

Theory of operation: probes move the state by the table below. Failed probes in a row make an instance unhealthy, then
offline; from either, the first success makes it degraded and the second healthy. What the plugin reports of itself is
believed: "degraded" stays until a probe says otherwise, "unhealthy" is a failed probe, "unknown" changes nothing.

Calls count too. Failures in a row make an instance unhealthy, so that others are preferred and it is probed soon, but
never offline: calls may fail for reasons of their own, and keeping calls away for that is the task of the circuit
breaker. Successful calls undo what failed calls did, and complete a recovery that a probe began; they never override a
failed probe, nor what the plugin reports.

An instance that has just been connected is unknown until its first probe is over. A server that accepts connections may
still never answer, so until then it gets calls only if no other instance is healthy or degraded.

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
    What changes the health of an instance.
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
"""Pairs that are not in the table change nothing."""

_HEALTHY = Status.HEALTHY  # a global is looked up faster than a member

SOON = 1.0
"""The longest interval between probes while the health of an instance is in doubt, in seconds."""


SHORTEST = 0.01
"""The shortest interval between probes, in seconds, so that no configuration can load the machine with them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheckConfig:
    """
    Whether and how instances are probed.

    Attributes:
        enabled: Whether they are.
        interval: Seconds between probes.
        timeout: Seconds that a probe may take.
        failure_limit: Failed probes in a row that take an instance offline; as many failed calls make it unhealthy.
        endpoint: HTTP: the path or address to GET; any 2xx answer means healthy.
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
        status: What is known of its health.
        cause: Why it has that status, in a few words.
        failures: Failed probes in a row.
        failed_calls: Failed calls in a row.
    """

    __slots__ = ("_config", "_rng", "_says_degraded", "_was_probed", "cause", "failed_calls", "failures", "status")

    def __init__(self, config: HealthCheckConfig, *, rng: Chance) -> None:
        self._config = config
        self._rng = rng
        self.status: Status = Status.UNKNOWN
        self.cause: str = ""
        self.failures: int = 0
        self.failed_calls: int = 0
        self._says_degraded = False
        self._was_probed = False

    @property
    def is_proved(self) -> bool:
        """
        Whether it is known how it answers, from a probe or a call; taken for granted when probes are disabled.
        """
        return self.status is not Status.UNKNOWN or self._was_probed or not self._config.enabled

    @property
    def takes_calls(self) -> bool:
        """
        Whether calls may be sent to it.
        """
        return self.standing is not Status.OFFLINE

    @property
    def standing(self) -> Status:
        """
        The status that counts for calls: UNKNOWN when probes are disabled, since nothing would then clear a bad one.
        """
        return self.status if self._config.enabled else Status.UNKNOWN

    def probed(self, status: Status, cause: str = "") -> StateChange[Status] | None:
        """
        The plugin has answered a probe.
        """
        if status in (Status.UNHEALTHY, Status.OFFLINE):
            return self.probe_failed(cause or f"the plugin says that it is {status}")
        self._was_probed = True
        if status is Status.UNKNOWN:
            return None
        self.failures = self.failed_calls = 0
        self._says_degraded = status is Status.DEGRADED
        return self._move(HealthSignal.WEAK if self._says_degraded else HealthSignal.PASSED, cause)

    def probe_failed(self, cause: str = "") -> StateChange[Status] | None:
        """
        The plugin could not be probed, or did not answer in time.
        """
        self.failures += 1
        is_over = self.failures >= self._config.failure_limit
        return self._move(HealthSignal.EXCEEDED if is_over else HealthSignal.FAILED, cause)

    def call_succeeded(self) -> StateChange[Status] | None:
        """
        A call has succeeded.
        """
        self.failed_calls = 0
        if self.status is _HEALTHY or self.status is Status.OFFLINE or self.failures or self._says_degraded:
            return None
        return self._move(HealthSignal.PASSED, "a call succeeded")

    def call_failed(self, cause: str = "") -> StateChange[Status] | None:
        """
        A call has failed in a way that counts against the instance.
        """
        self.failed_calls += 1
        if self.failed_calls < self._config.failure_limit:
            return None
        return self._move(HealthSignal.FAILED, cause)

    def lost(self, cause: str = "") -> StateChange[Status] | None:
        """
        The instance is gone: its process has ended, or its connection is broken and not restored yet.
        """
        return self._move(HealthSignal.LOST, cause)

    def reset(self) -> StateChange[Status] | None:
        """
        The instance is restarted, and nothing is known about it.
        """
        self.failures = self.failed_calls = 0
        self._says_degraded = self._was_probed = False
        return self._move(HealthSignal.RESET)

    def retune(self, config: HealthCheckConfig) -> None:
        """
        Take another configuration, which applies from the next probe on.
        """
        self._config = config

    def next_check(self) -> float:
        """
        The seconds until the next probe: the interval with a tenth of jitter, or less while the health is in doubt.
        """
        return max(SHORTEST, self._interval() * self._rng.uniform(0.9, 1.1))

    def soonest_check(self) -> float:
        """
        The shortest time between two probes, in seconds, whatever the calls report.
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
