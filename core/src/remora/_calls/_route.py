"""
One configured plugin as the call path sees it: its instances, and which calls are admitted.

What lives here: state. What must not: I/O, waiting, tasks; the choice of an instance (see `_choice`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from remora._calls._choice import Choice
from remora._calls._instance import CUT, Instance, State, Waiter
from remora._calls._no_meter import NO_METER
from remora._calls._outage import outage, why_out
from remora._extensions._conduct import Conduct
from remora._extensions._interception import Interception
from remora.errors import (
    Cancelled,
    Draining,
    InvalidRequest,
    ManagerClosed,
    RemoraError,
    Unavailable,
)
from remora.policy import BreakerState, DrainCounter, DrainState, RetryBudget, RetryBudgetConfig, TokenBucket
from remora.types import BreakerChanged, HealthChanged, HealthStatus, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from remora._calls._balancing import Balancing
    from remora._calls._instance import Scope
    from remora._calls._no_meter import NoMeter
    from remora._telemetry._call_meters import PluginMeter
    from remora.config import PluginConfig
    from remora.policy import StateChange
    from remora.types import Call, Event


class Route:
    """
    One configured plugin: its instances, in the order of its configuration. It stays the same when they change.

    Attributes:
        config: The plugin's table.
        instances: Its instances.
        bucket: The limit of calls per second.
        budget: The limit of extra traffic by retries.
        balancing: The balancer among them; None when they take turns.
        conduct: The record of third-party code on the path of its calls.
        interception: The interceptors around its calls and their attempts.
        calls: The calls under way, and whether new ones are admitted.
        clock: The event loop's clock, in seconds.
        is_closed: Whether it is gone for good.
        meter: Counts its calls.
        scopes: The cancel scopes of calls that are with interceptors rather than with an instance.
        is_cut: Whether the calls under way are not waited for any more.
        unresolved: Why it has no instances yet, while its resolver has reported none.
        is_unresolvable: Whether it makes no sense for calls to wait for them.
        choice: Chooses the instance for a call.
        opener: Opens its instances at the first call; None when they do not wait for it, or have been opened.
    """

    __slots__ = (
        "__weakref__",
        "_publish",
        "_waiters",
        "balancing",
        "bucket",
        "budget",
        "calls",
        "choice",
        "clock",
        "conduct",
        "config",
        "instances",
        "interception",
        "is_closed",
        "is_cut",
        "is_unresolvable",
        "meter",
        "opener",
        "scopes",
        "unresolved",
    )

    def __init__(
        self,
        config: PluginConfig,
        instances: Sequence[Instance],
        *,
        balancing: Balancing | None = None,
        clock: Callable[[], float],
        publish: Callable[[Event], None],
        conduct: Conduct | None = None,
    ) -> None:
        self.config: PluginConfig = config
        self.instances: list[Instance] = []
        self.bucket: TokenBucket = TokenBucket(config.rate_limit, clock=clock)
        self.budget: RetryBudget = RetryBudget(RetryBudgetConfig(), clock=clock)
        self.balancing = balancing
        self.conduct: Conduct = (conduct or Conduct()).about(plugin=config.name)
        self.interception: Interception = NOT_INTERCEPTED
        self.calls: DrainCounter = DrainCounter(clock=clock)
        self.is_closed: bool = False
        self.meter: PluginMeter | NoMeter = NO_METER
        self.scopes: dict[Scope, None] = {}
        self.is_cut: bool = False
        self.unresolved: str = "its resolver has not told yet where it is"
        self.is_unresolvable: bool = False
        self.opener: Callable[[], None] | None = None
        self.clock: Callable[[], float] = clock
        self.choice: Choice = Choice(self._nobody)
        self._publish = publish
        self._waiters: dict[Waiter, None] = {}
        self.place(instances)

    @property
    def name(self) -> str:
        """
        The configured name of the plugin.
        """
        return self.config.name

    @property
    def is_up(self) -> bool:
        """
        Whether any of its instances is ready.
        """
        return any(each.state is State.READY for each in self.instances)

    @property
    def is_open(self) -> bool:
        """
        Whether new calls are admitted, because it is not being drained.
        """
        return self.calls.state is _OPEN

    @property
    def is_dormant(self) -> bool:
        """
        Whether it still waits for the first call, which starts it.
        """
        return self.opener is not None

    def place(self, instances: Sequence[Instance]) -> None:
        """
        Choose among these instances from now on.
        """
        self.instances = list(instances)
        for each in self.instances:
            each.was_placed = True
        self._arrange()
        if self.is_dormant:
            self._doze()
        self.changed()

    def retune(self, config: PluginConfig, balancing: Balancing | None) -> None:
        """
        Take another configuration. The bucket of an unused rate limit is as full as the new one can be.
        """
        if self.bucket.level >= self.config.rate_limit.burst_size:
            self.bucket = TokenBucket(config.rate_limit, clock=self.clock)
        self.bucket.retune(config.rate_limit)
        self.config, self.balancing = config, balancing
        self._arrange()

    def reopen(self) -> bool:
        """
        Admit calls again after a drain.

        Returns:
            Whether it was drained.
        """
        was_drained = not self.is_open
        self.is_cut = False
        for each in self.instances:
            each.reopen()
        if not self.is_closed:
            self.calls.resume()
        self.changed()
        return was_drained

    def doze(self, opener: Callable[[], None]) -> None:
        """
        Wait for the first call, which opens the instances that there are then.
        """
        self.opener = opener
        self._doze()

    def rouse(self) -> None:
        """
        Open the instances if they wait for the first call: once, however many calls there are.

        Raises:
            ManagerClosed: Nothing is started any more.
        """
        opener, self.opener = self.opener, None
        if opener is not None:
            for each in self.instances:
                each.start()
            opener()

    def cut(self) -> None:
        """
        Stop waiting for calls: every one that is under way ends now.
        """
        self.is_cut = True
        for each in self.instances:
            each.cut()
        for scope in tuple(self.scopes):
            scope.cancel()
        self.changed()

    def close(self) -> None:
        """
        It is gone for good, and admits no new calls.
        """
        self.is_closed = True
        self.calls.drain()

    def refusal(self) -> RemoraError:
        """
        Why it admits no new calls.
        """
        if self.is_closed:
            return ManagerClosed("the manager is shut down")
        return Draining("it is being drained and takes no new calls")

    def remaining(self, call: Call) -> float:
        """
        The seconds that a call has left; never negative.

        Raises:
            InvalidRequest: An interceptor removed the call's deadline.
        """
        if call.deadline is None:
            raise InvalidRequest("an interceptor took the deadline from the call")
        return max(0.0, call.deadline - self.clock())

    def why_out(self) -> str:
        """
        Why its instances take no calls now, in a sentence.
        """
        return why_out(self.choice.instances) if self.instances else self.unresolved

    def wait(self, waiter: Waiter) -> None:
        """
        Wake a waiter when an instance has changed.
        """
        self._waiters[waiter] = None

    def forget(self, waiter: Waiter) -> None:
        """
        Do not wake a waiter any more.
        """
        self._waiters.pop(waiter, None)

    def changed(self) -> None:
        """
        Wake every waiter, in the order in which they came.
        """
        self.choice.changed()
        self._spare_the_last()
        waiters, self._waiters = self._waiters, {}
        for waiter in waiters:
            waiter.set()

    def about(self, instance: Instance) -> dict[str, Any]:
        """
        The facts of an event that say whose it is, and whether its instance is only tried.
        """
        return {"plugin": self.name, "instance": instance.name, "is_tried": not instance.was_placed}

    def breaker_changed(self, instance: Instance, change: StateChange[BreakerState] | None) -> None:
        """
        Publish a change of a circuit breaker.
        """
        if change is not None:
            instance.breaker_cause = change.cause
            instance.review()
            self._spare_the_last()
            facts: dict[str, Any] = {"before": str(change.before), "after": str(change.after), "cause": change.cause}
            self._publish(BreakerChanged(time=time.time(), **self.about(instance), **facts))

    def health_changed(self, instance: Instance, change: StateChange[Status] | None) -> None:
        """
        Publish a change of the health of an instance.
        """
        if change is None:
            return
        instance.review()
        self._spare_the_last()
        self._publish(
            HealthChanged(
                time=time.time(),
                **self.about(instance),
                before=change.before,
                after=change.after,
                cause=change.cause,
            )
        )
        if change.after is Status.UNHEALTHY and instance.doubt is not None:
            instance.doubt.set()

    def _spare_the_last(self) -> None:
        """
        Update which circuit breaker belongs to the only one of several instances that can be called.
        """
        if self.config.circuit_breaker.slow_call_rate is None:
            return
        offered = self.choice.instances
        able = [each for each in offered if each.is_able and each.breaker.state is BreakerState.CLOSED]
        for each in self.instances:
            each.breaker.is_needed = len(offered) > 1 and able in ([], [each])

    def health(self) -> HealthStatus:
        """
        The health of the plugin: that of its best instance, but degraded when they differ.
        """
        if not self.instances:
            return HealthStatus(status=Status.UNKNOWN, message=self.unresolved)
        all_known = [each.health for each in self.instances]
        best = min(all_known, key=lambda health: _ORDER.index(health.status))
        healthy = sum(health.status is Status.HEALTHY for health in all_known)
        if healthy in (0, len(all_known)):
            return best
        starting = sum(health.status is Status.UNKNOWN for health in all_known)
        message = f"{healthy} of {len(all_known)} instances are healthy" + (
            f", {starting} starting" if starting else ""
        )
        return HealthStatus(status=Status.DEGRADED, message=message, last_check=best.last_check)

    def _doze(self) -> None:
        for each in self.instances:
            each.doze()

    def _arrange(self) -> None:
        self.choice.arrange(self.instances, self.balancing)

    def _nobody(self) -> None:
        """
        Called when no instance takes calls: raises the reason, or returns when that may soon be over.
        """
        if not self.instances and not self.is_unresolvable and not self.is_cut:
            return
        if not any(each.state in (State.STARTING, State.DORMANT) for each in self.choice.instances):
            raise self._outage()

    def _outage(self) -> RemoraError:
        if self.is_cut:
            return Cancelled(CUT, sent=False)
        if not self.instances:
            return Unavailable(self.unresolved, sent=False)
        return outage(self.choice.instances, self.clock())


NOT_INTERCEPTED = Interception({})
_OPEN = DrainState.OPEN
_ORDER = (Status.HEALTHY, Status.DEGRADED, Status.UNKNOWN, Status.UNHEALTHY, Status.OFFLINE)
