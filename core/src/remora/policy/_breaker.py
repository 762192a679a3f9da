"""
When to stop calling an instance that fails, and how to find out that it works again.

Theory of operation: while closed, every verdict is counted in a window; enough failures in it open the breaker. While
open, calls are refused until the recovery time is over: the configured one, jittered down by up to a tenth, doubled
after each failed recovery up to eightfold. Then it is half-open and admits as many probes as must succeed, counted when
they are admitted, not when they end. The first probe that fails opens it again; when all have succeeded it closes.

A verdict counts only within its permit's generation: every change of state begins a new one, and calls admitted in an
earlier one change nothing. A probe that is abandoned frees its place. So does one that has not reported for as long as
the breaker was open, though its verdict still counts when it comes; so the breaker cannot stick in half-open.

Slow calls are still answers: they never open the breaker of the last of several instances that can be called.

No locks: the event loop serialises, because no method awaits. Sources: resilience4j's CircuitBreaker, failsafe-go's
half-open permits, Finagle's failure accrual for low request rates, Polly for the order of strategies.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import TYPE_CHECKING, final

from remora._frozen import dataclass
from remora.policy._change import StateChange
from remora.policy._window import Window
from remora.values import Count, Duration, Share, check_limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from remora.policy._chance import Chance


class BreakerState(StrEnum):
    """
    What a breaker does with calls: lets them through, refuses them, or lets a few through as probes.
    """

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class BreakerSignal(StrEnum):
    """
    What moves a breaker from one state to another.
    """

    TRIPPED = "too many calls failed"
    WAITED = "the recovery time is over"
    PROBE_FAILED = "a probe failed"
    PROBES_SUCCEEDED = "all probes succeeded"
    RESET = "reset"


TRANSITIONS = {
    (BreakerState.CLOSED, BreakerSignal.TRIPPED): BreakerState.OPEN,
    (BreakerState.OPEN, BreakerSignal.WAITED): BreakerState.HALF_OPEN,
    (BreakerState.HALF_OPEN, BreakerSignal.PROBE_FAILED): BreakerState.OPEN,
    (BreakerState.HALF_OPEN, BreakerSignal.PROBES_SUCCEEDED): BreakerState.CLOSED,
    (BreakerState.OPEN, BreakerSignal.RESET): BreakerState.CLOSED,
    (BreakerState.HALF_OPEN, BreakerSignal.RESET): BreakerState.CLOSED,
}

LONGEST = 8.0
"""The longest wait of an open breaker, as a multiple of the recovery timeout."""

PROBING = 1.0
"""Seconds to wait while all probes are under way; they should not take long."""

_REQUESTS, _FAILURES, _SLOW = range(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreakerConfig:
    """
    When the breaker of a failing instance opens and closes. It opens when all configured conditions hold.

    Attributes:
        enabled: Whether there is a circuit breaker at all.
        failure_threshold: Failures within `window` that open it.
        recovery_timeout: Seconds that it stays open before probes are admitted.
        min_request_threshold: Calls within `window` below which it never opens.
        success_threshold: Probes that are admitted, and must succeed, before it closes.
        window: Seconds.
        failure_rate: The share of the calls within `window` that must also have failed, from 0 to 1.
        slow_call_duration: Seconds from which a call counts as slow; slow calls then open it as failures do.
        slow_call_rate: The share of the calls within `window` that must have been slow, from 0 to 1.
    """

    enabled: bool = True
    failure_threshold: Count = 5
    recovery_timeout: Duration = 30.0
    min_request_threshold: Count = 3
    success_threshold: Count = 2
    window: Duration = 30.0
    failure_rate: Share | None = None
    slow_call_duration: Duration | None = None
    slow_call_rate: Share | None = None

    def __post_init__(self) -> None:
        check_limits(self)
        if (self.slow_call_duration is None) != (self.slow_call_rate is None):
            raise ValueError("slow_call_rate: goes together with slow_call_duration; give both or neither")


@final
class Permit:
    """
    Permission for a call, handed back with its verdict. All calls share one while the breaker stays closed.

    Attributes:
        change: The change of state that the admission caused: the first probe makes the breaker half-open.
        lapses: When a probe without a verdict no longer counts, on the breaker's clock.
    """

    __slots__ = ("change", "lapses")

    def __init__(self, change: StateChange[BreakerState] | None = None, lapses: float = 0.0) -> None:
        self.change: StateChange[BreakerState] | None = change
        self.lapses: float = lapses


class CircuitBreaker:
    """
    The circuit breaker of one instance.

    Attributes:
        state: What it does with calls.
        openings: How often it has opened.
        last_failure: When a call last failed in a way that counts, on its clock; None before the first.
        shared: The permit that `admit` returns for every call while it is closed; None while it is not.
        is_needed: Whether there are other instances but none can be called: then slow calls do not open it.
    """

    __slots__ = (
        "_clock",
        "_config",
        "_failed_recoveries",
        "_is_enabled",
        "_is_wary",
        "_lapsed",
        "_open_for",
        "_open_until",
        "_probes",
        "_rng",
        "_slow_from",
        "_succeeded",
        "_window",
        "is_needed",
        "last_failure",
        "openings",
        "shared",
        "state",
    )

    def __init__(self, config: CircuitBreakerConfig, *, clock: Callable[[], float], rng: Chance) -> None:
        self._clock = clock
        self._rng = rng
        self._set(config)
        self._window = Window(config.window, columns=3, clock=clock)
        self.state: BreakerState = BreakerState.CLOSED
        self.openings: int = 0
        self.last_failure: float | None = None
        self.is_needed: bool = False
        self._is_wary = False  # there are failures within the window
        self._failed_recoveries = 0
        self._open_for = 0.0
        self._open_until = 0.0
        self._succeeded = 0
        self._probes: dict[Permit, None] = {}
        self._lapsed: dict[Permit, None] = {}
        self.shared: Permit | None = Permit()

    def admit(self) -> Permit | float:
        """
        A permit for one call, or the seconds until it is worth asking again.
        """
        if self.shared is not None:
            return self.shared
        refused_for = self.refuses_for()
        if refused_for > 0:
            return refused_for
        change = self._move(BreakerSignal.WAITED) if self.state is BreakerState.OPEN else None
        probe = Permit(change, lapses=self._clock() + self._open_for)
        self._probes[probe] = None
        return probe

    def refuses_for(self) -> float:
        """
        The seconds until it is worth asking for a permit; 0 when there is one now. Admits nothing.
        """
        if self.state is BreakerState.CLOSED:
            return 0.0
        now = self._clock()
        if self.state is BreakerState.OPEN:
            return max(0.0, self._open_until - now)
        self._lapse(now)
        if self._succeeded + len(self._probes) < self._config.success_threshold:
            return 0.0
        return min(PROBING, next(iter(self._probes)).lapses - now)

    def succeeded(
        self, permit: Permit, duration: float = 0.0, now: float | None = None
    ) -> StateChange[BreakerState] | None:
        """
        A call has succeeded, or was answered with an error of the plugin's own, after `duration` seconds. `now` is the
        time, when it is already known.
        """
        if permit is not self.shared:
            return self._probed(permit, duration)
        if duration >= self._slow_from:
            return self._count(_SLOW)
        if self._is_enabled:
            self._window.count(self._clock() if now is None else now)
            if self._is_wary:
                return self._tripped()
        return None

    def failed(self, permit: Permit, cause: str = "") -> StateChange[BreakerState] | None:
        """
        A call has failed in a way that counts against the instance.
        """
        if permit is self.shared:
            self.last_failure = self._clock()
            return self._count(_FAILURES, cause)
        if not self._take(permit):
            return None
        self.last_failure = self._clock()
        return self._reopen(f"a probe failed: {cause}" if cause else None)

    def abandoned(self, permit: Permit) -> None:
        """
        A call has ended without a verdict: it was cancelled, or never sent.
        """
        self._take(permit)

    def reset(self, cause: str = "") -> StateChange[BreakerState] | None:
        """
        Close it and forget all failures: an operator asked for it, or the instance was restarted.
        """
        if self.state is not BreakerState.CLOSED:
            return self._move(BreakerSignal.RESET, cause)
        self._window.clear()
        return None

    def retune(self, config: CircuitBreakerConfig) -> StateChange[BreakerState] | None:
        """
        Take another configuration. The counts are kept unless the window changes; a disabled breaker closes; an open
        one stays open for longer or shorter in proportion to the recovery timeout.
        """
        opened, factor = self._open_until - self._open_for, config.recovery_timeout / self._config.recovery_timeout
        self._open_for *= factor
        self._open_until = opened + self._open_for
        if config.window != self._config.window:
            self._window = Window(config.window, columns=3, clock=self._clock)
        self._set(config)
        return self._recover() if config.enabled else self.reset("disabled")

    def counts(self) -> tuple[int, int, int]:
        """
        Calls, failures and slow calls within the window.
        """
        requests, failures, slow = self._window.roll()
        return requests, failures, slow

    def _set(self, config: CircuitBreakerConfig) -> None:
        self._config = config
        self._is_enabled = config.enabled
        self._slow_from = math.inf if config.slow_call_duration is None else config.slow_call_duration

    def _lapse(self, now: float) -> None:
        """
        Free the places of the probes that have not reported for too long.
        """
        for probe in [each for each in self._probes if each.lapses <= now]:
            del self._probes[probe]
            self._lapsed[probe] = None

    def _take(self, permit: Permit) -> bool:
        """
        Take a probe back; False when it belongs to an earlier generation, or was given back before.
        """
        if permit in self._probes:
            del self._probes[permit]
            return True
        if permit in self._lapsed:
            del self._lapsed[permit]
            return True
        return False

    def _probed(self, probe: Permit, duration: float) -> StateChange[BreakerState] | None:
        """
        A probe has succeeded.
        """
        if not self._take(probe):
            return None
        if duration >= self._slow_from and not self.is_needed:
            return self._reopen(f"a probe took {duration:.3g} s")
        self._succeeded += 1
        return self._recover()

    def _recover(self) -> StateChange[BreakerState] | None:
        if self.state is not BreakerState.HALF_OPEN or self._succeeded < self._config.success_threshold:
            return None
        return self._move(BreakerSignal.PROBES_SUCCEEDED)

    def _count(self, column: int, cause: str = "") -> StateChange[BreakerState] | None:
        if not self._config.enabled:
            return None
        self._window.add(_REQUESTS)
        self._window.add(column)
        return self._tripped(cause)

    def _tripped(self, cause: str = "") -> StateChange[BreakerState] | None:
        total = self._window.total
        failures, slow = total(_FAILURES), total(_SLOW)
        self._is_wary = bool(failures or slow)
        reason = self._trip_reason(total(_REQUESTS), failures, slow)
        return self._move(BreakerSignal.TRIPPED, f"{reason}: {cause}" if cause else reason) if reason else None

    def _trip_reason(self, requests: int, failures: int, slow: int) -> str:
        config = self._config
        least = config.failure_threshold
        if requests < config.min_request_threshold:
            return ""
        if failures >= least and failures >= requests * (config.failure_rate or 0.0):
            return f"{failures} of {requests} calls failed"
        if config.slow_call_rate is None or self.is_needed:
            return ""
        if slow >= least and slow >= requests * config.slow_call_rate:
            return f"{slow} of {requests} calls were slow"
        return ""

    def _reopen(self, cause: str | None) -> StateChange[BreakerState]:
        self._failed_recoveries += 1
        return self._move(BreakerSignal.PROBE_FAILED, cause)

    def _move(self, signal: BreakerSignal, cause: str | None = None) -> StateChange[BreakerState]:
        change = StateChange(self.state, TRANSITIONS[self.state, signal], cause or signal.value)
        self.state = change.after
        self._probes.clear()
        self._lapsed.clear()
        self._succeeded = 0
        self.shared = Permit() if self.state is BreakerState.CLOSED else None
        if self.state is BreakerState.OPEN:
            self._open()
        elif self.state is BreakerState.CLOSED:
            self._failed_recoveries = 0
            self._window.clear()
        return change

    def _open(self) -> None:
        factor = min(LONGEST, 2.0 ** min(self._failed_recoveries, 10))
        self._open_for = self._config.recovery_timeout * factor * self._rng.uniform(0.9, 1.0)
        self._open_until = self._clock() + self._open_for
        self.openings += 1
