"""
One instance of a plugin as the call path sees it: what it is doing, and the policies that judge it.

What lives here: state. What must not: I/O, waiting, tasks.
"""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from remora._no_meter import NO_METER
from remora.policy import (
    CircuitBreaker,
    ConcurrencyLimit,
    Gradient,
    HealthState,
    SlowStart,
    SlowStartConfig,
)
from remora.types import HealthStatus, Status

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from remora._meters import InstanceMeter
    from remora._no_meter import NoMeter
    from remora.config import PluginConfig
    from remora.errors import RemoraError
    from remora.policy import Ticket
    from remora.protocols import Channel
    from remora.types import Endpoint


class Waiter(Protocol):
    """
    Something that is told when what it waits for has happened.
    """

    def set(self) -> object:
        """
        Wake whoever waits.
        """
        ...


class State(StrEnum):
    """
    What an instance is doing.
    """

    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting"
    FAILED = "failed"
    STOPPED = "stopped"


class Instance:
    """
    One connection or process of a plugin.

    Attributes:
        name: Its address, with a number where the plugin has more than one there.
        endpoint: Where it is.
        weight: Its share of traffic beside the others.
        priority: The highest number is preferred.
        origin: The distribution of its transport, for messages.
        native_deadline: Whether its channel ends calls at their deadline by itself.
        state: What it is doing.
        channel: The way to it while it is ready.
        error: Why it is not ready.
        next_try: When it will be started or probed again, on the event loop's clock.
        in_flight: Calls under way.
        breaker: Whether calls may be sent to it, by how the last ones ended.
        condition: Whether it is well, by probes and calls.
        limit: How many calls may be under way to it.
        is_adaptive: Whether the limit learns from how long calls take.
        doubt: Woken when it should be probed before its time.
        meter: Counts the attempts at it.
    """

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        config: PluginConfig,
        *,
        native_deadline: bool,
        clock: Callable[[], float],
        rng: random.Random,
        origin: str = "",
    ) -> None:
        self.name = name
        self.endpoint = endpoint
        self.weight = endpoint.weight
        self.priority = endpoint.priority
        self.origin = origin
        self.native_deadline = native_deadline
        self.state = State.STARTING
        self.channel: Channel | None = None
        self.error: RemoraError | None = None
        self.next_try = 0.0
        self.in_flight = 0
        self.breaker = CircuitBreaker(config.circuit_breaker, clock=clock, rng=rng)
        self.condition = HealthState(config.health_check, rng=rng)
        self._most = config.connection.max_connections
        adaptive = config.connection.adaptive_limit
        self._gradient = Gradient(adaptive) if adaptive.enabled else None
        self.is_adaptive = adaptive.enabled
        first = self._most if self._gradient is None else min(self._most, self._gradient.limit)
        self.limit = ConcurrencyLimit(first, config.connection.max_pending)
        self.doubt: Waiter | None = None
        self.meter: InstanceMeter | NoMeter = NO_METER
        self._clock = clock
        self._slow_start = SlowStart(SlowStartConfig())
        self._ready_since = 0.0
        self._is_warm = False
        self._last_check: float | None = None
        self._response_time: float | None = None

    @property
    def is_able(self) -> bool:
        """
        Whether it takes a call now.
        """
        return self.state is State.READY and self.condition.takes_calls and self.breaker.refuses_for() <= 0

    @property
    def warmth(self) -> float:
        """
        How much of its share it is to get while it warms up.
        """
        if self._is_warm:
            return 1.0
        factor = self._slow_start.factor(self._clock() - self._ready_since)
        self._is_warm = factor >= 1.0
        return factor

    @property
    def health(self) -> HealthStatus:
        """
        What is known of its health.
        """
        return HealthStatus(
            status=self.condition.status,
            message=self.condition.cause or (self.error.message if self.error else str(self.state)),
            last_check=self._last_check,
            response_time=self._response_time,
        )

    def start(self) -> None:
        """
        It is being started; calls wait for it.
        """
        self.state = State.STARTING

    def ready(self, channel: Channel) -> None:
        """
        It takes calls.
        """
        self.state, self.channel, self.error = State.READY, channel, None
        self._ready_since, self._is_warm = self._clock(), False

    def lost(self, error: RemoraError | None, state: State, next_try: float) -> None:
        """
        It takes no calls; it is tried again at `next_try`.
        """
        self.state, self.channel, self.error, self.next_try = state, None, error, next_try

    def close(self) -> None:
        """
        It takes no calls until it is started again; they wait for that, or go elsewhere.
        """
        self.channel = None
        if self.state is State.READY:
            self.state = State.STARTING

    def stop(self) -> None:
        """
        It is no longer wanted.
        """
        self.state, self.channel = State.STOPPED, None

    def checked(self, response_time: float | None) -> None:
        """
        It has been asked for its health, and took so many seconds to answer; None when it did not.
        """
        self._last_check, self._response_time = time.time(), response_time

    def adapt(self, duration: float, *, ok: bool) -> list[Ticket]:
        """
        Let the limit learn from a call that has ended.

        Returns:
            The calls in the queue that are admitted by it; they are to be woken.
        """
        if self._gradient is None:
            return []
        limit = self._gradient.finished(duration, self.limit.in_use) if ok else self._gradient.dropped()
        return self.limit.resize(min(limit, self._most))

    def refuses_for(self) -> float:
        """
        The seconds until it is worth sending it a call; 0 when it takes one now.
        """
        if not self.condition.takes_calls:
            return max(0.0, self.next_try - self._clock())
        return self.breaker.refuses_for()

    def why_out(self) -> str:
        """
        Why it takes no calls now, in a few words.
        """
        if self.state is not State.READY:
            return self.error.message if self.error else str(self.state)
        if self.condition.status is Status.OFFLINE:
            return f"offline: {self.condition.cause}"
        return f"its circuit breaker is open for another {self.breaker.refuses_for():.1f} s"
