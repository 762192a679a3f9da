"""
One instance of a plugin as the call path sees it: its state, and the policies that apply to it.

What lives here: state. What must not: I/O, waiting, tasks.
"""

from __future__ import annotations

import math
import time
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, cast

from remora._calls._no_meter import NO_METER
from remora.policy import (
    BreakerState,
    CircuitBreaker,
    ConcurrencyLimit,
    Gradient,
    HealthState,
    SlowStart,
    SlowStartConfig,
)
from remora.types import HealthStatus, Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from remora._calls._authenticate import Authenticator
    from remora._calls._no_meter import NoMeter
    from remora._telemetry._call_meters import InstanceMeter
    from remora.config import PluginConfig
    from remora.errors import RemoraError
    from remora.policy import Chance, StateChange, Ticket
    from remora.protocols import Channel
    from remora.types import Call, Endpoint, Reply

CUT = "it was still under way when the time for draining was over"
"""The reason given for a call that is not waited for any more."""


class Waiter(Protocol):
    """
    Something that waits and can be woken, such as `anyio.Event`.
    """

    def set(self) -> object:
        """
        Wake the waiting task.
        """
        ...


class Scope(Protocol):
    """
    Something that a call runs in and that can be cancelled from outside.
    """

    def cancel(self) -> object:
        """
        Cancel the call.
        """
        ...


class State(StrEnum):
    """
    What an instance is doing. When none of a plugin's instances is ready, a call waits for one that is dormant or
    starting; where there is no such instance, it fails.

    Attributes:
        DORMANT: Nothing, until the first call starts it.
        STARTING: It is being opened; or it was up until now, and is opened again soon.
        READY: It is open, and takes calls as far as its health and its circuit breaker let it.
        WAITING: It could not be opened, and is tried again soon.
        FAILED: It was given up after too many tries, or a hopeless one: it is tried again after minutes, or a restart.
        RETIRED: It is open for the calls under way, and takes no others.
        STOPPED: It is closed for good, or until a restart.
    """

    DORMANT = "dormant"
    STARTING = "starting"
    READY = "ready"
    WAITING = "waiting"
    FAILED = "failed"
    RETIRED = "being drained"
    STOPPED = "stopped"


class Instance:
    """
    One connection or process of a plugin.

    Attributes:
        name: Its address, with a number when the plugin has more than one instance there.
        endpoint: Its endpoint.
        config: The table of its plugin.
        authenticate: What adds credentials to its calls; None when it needs none.
        weight: Its share of the traffic, relative to the other instances.
        warmth: How much of its share it gets while it warms up, from 0 to 1.
        priority: Its priority; the highest number is preferred.
        origin: The distribution of its transport, for messages.
        native_deadline: Whether its channel ends calls at their deadline by itself.
        state: What it is doing.
        channel: The channel to it while it is ready.
        send: Sends calls over the channel, with credentials.
        prepared: Sends first attempts, with all that is around them; None until the first call has prepared it.
        error: Why it is not ready.
        next_try: When it will be started or probed again, on the event loop's clock.
        breaker: Its circuit breaker, which stops calls when too many have failed.
        breaker_cause: Why the circuit breaker is as it is; empty before its first change.
        condition: Its health, by probes and calls.
        limit: The limit of concurrent calls, and their queue.
        is_adaptive: Whether the limit adapts to how long calls take.
        doubt: Woken when it should be probed earlier than planned.
        meter: Counts the attempts at it.
        scopes: The cancel scopes of calls to it, if the transport does not end them by itself.
        is_cut: Whether the calls to it are not waited for any more.
        is_prime: Whether it is fit for calls in every way, except that its places may all be taken.
        has_failed: Whether a call has failed since the last one that succeeded.
        was_placed: Whether it is or was one of those that calls go to, and not only tried.
    """

    __slots__ = (
        "__weakref__",
        "_clock",
        "_closed_at",
        "_gradient",
        "_last_check",
        "_most",
        "_ready_since",
        "_response_time",
        "_slow_start",
        "_why_closed",
        "authenticate",
        "breaker",
        "breaker_cause",
        "channel",
        "condition",
        "config",
        "doubt",
        "endpoint",
        "error",
        "has_failed",
        "is_adaptive",
        "is_cut",
        "is_prime",
        "limit",
        "meter",
        "name",
        "native_deadline",
        "next_try",
        "origin",
        "prepared",
        "priority",
        "scopes",
        "send",
        "state",
        "warmth",
        "was_placed",
        "weight",
    )

    def __init__(
        self,
        name: str,
        endpoint: Endpoint,
        config: PluginConfig,
        *,
        native_deadline: bool,
        clock: Callable[[], float],
        rng: Chance,
        origin: str = "",
        authenticate: Authenticator | None = None,
    ) -> None:
        self.name: str = name
        self.endpoint: Endpoint = endpoint
        self.config: PluginConfig = config
        self.authenticate: Authenticator | None = authenticate
        self.weight: int = endpoint.weight
        self.warmth: float = 1.0
        self.priority: int = endpoint.priority
        self.origin: str = origin
        self.native_deadline: bool = native_deadline
        self.state: State = State.STARTING
        self.channel: Channel | None = None
        self.send: Callable[[Call], Awaitable[Reply]] | None = None
        self.prepared: Callable[[Call], Awaitable[Reply]] | None = None
        self.error: RemoraError | None = None
        self.next_try: float = 0.0
        self.breaker: CircuitBreaker = CircuitBreaker(config.circuit_breaker, clock=clock, rng=rng)
        self.breaker_cause: str = ""
        self.condition: HealthState = HealthState(config.health_check, rng=rng)
        self._most = config.connection.max_connections
        self._gradient = _gradient(config)
        self.is_adaptive: bool = self._gradient is not None
        self.limit: ConcurrencyLimit = ConcurrencyLimit(self._allowed(), config.connection.max_pending)
        self.doubt: Waiter | None = None
        self.meter: InstanceMeter | NoMeter = NO_METER
        self.scopes: dict[Scope, None] = {}
        self.is_cut: bool = False
        self.is_prime: bool = False
        self.has_failed: bool = False
        self.was_placed: bool = False
        self._clock = clock
        self._slow_start = SlowStart(SlowStartConfig())
        self._ready_since = 0.0
        self._why_closed = ""
        self._closed_at = -math.inf
        self._last_check: float | None = None
        self._response_time: float | None = None

    @property
    def is_able(self) -> bool:
        """
        Whether it takes a call now.
        """
        return self.state is State.READY and self.condition.takes_calls and self.breaker.refuses_for() <= 0

    @property
    def health(self) -> HealthStatus:
        """
        What is known of its health.
        """
        is_there = self.state is not State.STOPPED
        return HealthStatus(
            status=self.condition.status if is_there else Status.OFFLINE,
            message=(self.condition.cause if is_there else "") or self._why_not_ready(),
            last_check=self._last_check,
            response_time=self._response_time,
        )

    @property
    def in_flight(self) -> int:
        """
        The number of calls under way to it.
        """
        return self.limit.in_use

    @property
    def is_idle(self) -> bool:
        """
        Whether no call is under way to it.
        """
        return not self.limit.in_use

    def review(self) -> None:
        """
        Update what depends on its circuit breaker and its health, after one of them has changed.
        """
        self.is_prime = (
            self.state is State.READY
            and self.breaker.state is BreakerState.CLOSED
            and self.condition.status is Status.HEALTHY
        )

    def sender(self, channel: Channel) -> Callable[[Call], Awaitable[Reply]]:
        """
        A function that sends calls over a channel to it, with credentials.
        """
        authenticate = self.authenticate
        return channel.call if authenticate is None else lambda call: authenticate(call, channel.call)

    def retune(self, name: str, endpoint: Endpoint, config: PluginConfig) -> StateChange[BreakerState] | None:
        """
        Take another configuration, as far as that is possible with the same channel; what is known is kept.

        Returns:
            The change of the circuit breaker; None when its state is the same.
        """
        before, self.config = self.config, config
        self.name, self.endpoint, self.prepared = name, endpoint, None
        self.weight, self.priority = endpoint.weight, endpoint.priority
        self._retune_limit(before, config)
        self.condition.retune(config.health_check)
        if config.health_check != before.health_check and self.doubt is not None:
            self.doubt.set()
        change = self.breaker.retune(config.circuit_breaker)
        self.review()
        return change

    def retire(self) -> None:
        """
        It gets no further calls; those in its queue go elsewhere, those under way go on.
        """
        if self.state is not State.RETIRED:
            self._become(State.RETIRED if self.state is State.READY else State.STOPPED)
        _wake(self.limit.resize(self.limit.limit + self.limit.pending))

    def cut(self) -> None:
        """
        The calls to it are not waited for any more.
        """
        self.retire()
        self.is_cut = True
        for scope in tuple(self.scopes):
            scope.cancel()

    def reopen(self) -> None:
        """
        It may be started again after it was cut.
        """
        if self.is_cut:
            self.is_cut = False
            _wake(self.limit.resize(self._allowed()))
            self.start()

    def doze(self) -> None:
        """
        It waits for the first call, which starts it; nothing is known of it until then.
        """
        self._become(State.DORMANT)

    def start(self) -> None:
        """
        It is being started; calls wait for it.
        """
        self._become(State.STARTING)

    def ready(self, channel: Channel) -> None:
        """
        It is ready, and takes calls.
        """
        self.channel, self.send, self.prepared, self.error = channel, self.sender(channel), None, None
        self._ready_since = self._clock()
        self.warm_up(self._ready_since)
        self._become(State.READY)

    def warm_up(self, now: float) -> bool:
        """
        Take a larger share, according to its age; returns whether it still warms up.
        """
        self.warmth = self._slow_start.factor(now - self._ready_since)
        return self.warmth < 1.0

    def lost(self, error: RemoraError | None, state: State, next_try: float) -> None:
        """
        It takes no calls, for a reason; it is tried again at `next_try`, on the event loop's clock.
        """
        self._disconnect()
        self.error, self.next_try = error, next_try
        self._become(state)

    def closing(self, why: str) -> None:
        """
        This side closes the connection, for a reason.
        """
        self._why_closed, self._closed_at = why, self._clock()

    def why_closed(self, started: float) -> str:
        """
        Why this side has closed the connection of an attempt that started then; empty when it has not.
        """
        return self._why_closed if started <= self._closed_at else ""

    def close(self) -> None:
        """
        It takes no calls until it is started again; they wait for that, or go elsewhere.
        """
        self._disconnect()
        if self.state is State.READY:
            self._become(State.STARTING)
        elif self.state is State.RETIRED:
            self._become(State.STOPPED)

    def stop(self) -> None:
        """
        It is no longer wanted.
        """
        self._disconnect()
        self._become(State.STOPPED)

    def checked(self, response_time: float | None) -> None:
        """
        It has been probed, and took `response_time` seconds to answer; None when it did not answer.
        """
        self._last_check, self._response_time = time.time(), response_time

    def adapt(self, duration: float, *, ok: bool) -> list[Ticket]:
        """
        Adapt the limit to a call that has ended.

        Returns:
            The tickets in the queue that are admitted now; their owners are to be woken.
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
        Why it takes no calls now, as a short phrase.
        """
        if self.state is not State.READY:
            return self._why_not_ready()
        if self.condition.status is Status.OFFLINE:
            return f"offline: {self.condition.cause}"
        cause = f", after {self.breaker_cause}" if self.breaker_cause else ""
        return f"its circuit breaker is open for another {self.breaker.refuses_for():.1f} s{cause}"

    def _disconnect(self) -> None:
        self.channel = self.send = self.prepared = None

    def _become(self, state: State) -> None:
        self.state = state
        self.review()

    def _why_not_ready(self) -> str:
        if self.state is State.DORMANT:
            return "it is started by its first call"
        return self.error.message if self.error else str(self.state)

    def _allowed(self) -> int:
        return self._most if self._gradient is None else min(self._most, self._gradient.limit)

    def _retune_limit(self, before: PluginConfig, config: PluginConfig) -> None:
        self._most = config.connection.max_connections
        if config.connection.adaptive_limit != before.connection.adaptive_limit:
            self._gradient = _gradient(config)
            self.is_adaptive = self._gradient is not None
        _wake(self.limit.resize(self._allowed(), config.connection.max_pending))


def _gradient(config: PluginConfig) -> Gradient | None:
    adaptive = config.connection.adaptive_limit
    return Gradient(adaptive) if adaptive.enabled else None


def _wake(admitted: Iterable[Ticket]) -> None:
    for ticket in admitted:
        if ticket.waiter is not None:
            cast("Waiter", ticket.waiter).set()
