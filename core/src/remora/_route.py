"""
One configured plugin as the call path sees it: its instances, and which of them takes a call.

What lives here: state, and the choice of an instance. What must not: I/O, waiting, tasks.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from remora._instance import Instance, State, Waiter
from remora.errors import CircuitOpen, Draining, ExecutableRefused, ManagerClosed, Unavailable
from remora.policy import BreakerState, RetryBudget, RetryBudgetConfig, TokenBucket
from remora.types import BreakerChanged, HealthChanged, HealthStatus, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from remora.config import PluginConfig
    from remora.policy import StateChange
    from remora.protocols import Balancer
    from remora.types import Event


class Route:
    """
    One configured plugin: its instances, in the order of its configuration.

    Attributes:
        config: The plugin's table.
        instances: Its instances.
        bucket: How many calls a second are let through.
        budget: How much extra traffic retries may cause.
        in_flight: Calls under way.
        is_draining: Whether new calls are refused.
        is_closed: Whether it is gone for good.
    """

    def __init__(
        self,
        config: PluginConfig,
        instances: Sequence[Instance],
        *,
        balancer: Balancer | None = None,
        clock: Callable[[], float],
        publish: Callable[[Event], None],
    ) -> None:
        self.config = config
        self.instances = list(instances)
        self.bucket = TokenBucket(config.rate_limit, clock=clock)
        self.budget = RetryBudget(RetryBudgetConfig(), clock=clock)
        self.balancer = balancer
        self.in_flight = 0
        self.is_draining = False
        self.is_closed = False
        self._clock = clock
        self._publish = publish
        self._turn = 0
        self._waiters: set[Waiter] = set()

    @property
    def name(self) -> str:
        """
        The configured name of the plugin.
        """
        return self.config.name

    def admit(self) -> None:
        """
        Let a new call in.

        Raises:
            Draining: Only calls that are under way already are finished.
            ManagerClosed: The manager is shut down.
        """
        if self.is_closed:
            raise ManagerClosed("the manager is shut down")
        if self.is_draining:
            raise Draining("it is being drained and takes no new calls")

    def pick(self, key: str = "", tried: Collection[Instance] = ()) -> Instance | None:
        """
        The instance for a call; None while none is ready but one is being started.

        Args:
            key: What the call is about, for balancers that keep calls about one thing together.
            tried: Instances on which the call has failed already; others are preferred.

        Raises:
            ExecutableRefused: The program of every instance may not be started.
            CircuitOpen: The circuit breakers of all instances refuse calls.
            Unavailable: No instance takes calls; the message says which are out, why, and until when.
        """
        ready = [each for each in self.instances if each.state is State.READY]
        able = [each for each in ready if each.condition.takes_calls and each.breaker.refuses_for() <= 0]
        if len(able) == 1:
            return able[0]
        if able:
            return self._choose(_preferred(able, tried), key)
        if not ready and any(each.state is State.STARTING for each in self.instances):
            return None
        raise self._refused() or self._unavailable()

    def wait(self, waiter: Waiter) -> None:
        """
        Have a waiter told when an instance has changed.
        """
        self._waiters.add(waiter)

    def forget(self, waiter: Waiter) -> None:
        """
        Tell a waiter nothing any more.
        """
        self._waiters.discard(waiter)

    def changed(self) -> None:
        """
        Tell every waiter.
        """
        waiters, self._waiters = self._waiters, set()
        for waiter in waiters:
            waiter.set()

    def enter(self) -> None:
        """
        A call is under way.
        """
        self.in_flight += 1

    def leave(self) -> None:
        """
        A call has ended.
        """
        self.in_flight -= 1
        if not self.in_flight:
            self.changed()

    def breaker_changed(self, instance: Instance, change: StateChange[BreakerState] | None) -> None:
        """
        Publish what a circuit breaker reports.
        """
        if change is not None:
            facts = {"before": str(change.before), "after": str(change.after), "cause": change.cause}
            self._publish(BreakerChanged(time=time.time(), plugin=self.name, instance=instance.name, **facts))

    def health_changed(self, instance: Instance, change: StateChange[Status] | None) -> None:
        """
        Publish what is new about the health of an instance.
        """
        if change is None:
            return
        self._publish(
            HealthChanged(
                time=time.time(),
                plugin=self.name,
                instance=instance.name,
                before=change.before,
                after=change.after,
                cause=change.cause,
            )
        )
        if change.after is Status.UNHEALTHY and instance.doubt is not None:
            instance.doubt.set()

    def health(self) -> HealthStatus:
        """
        The health of the plugin: the best of its instances, degraded when they do not agree.
        """
        all_known = [each.health for each in self.instances]
        best = min(all_known, key=lambda health: _ORDER.index(health.status))
        healthy = sum(health.status is Status.HEALTHY for health in all_known)
        if healthy in (0, len(all_known)):
            return best
        message = f"{healthy} of {len(all_known)} instances are healthy"
        return HealthStatus(status=Status.DEGRADED, message=message, last_check=best.last_check)

    def _choose(self, preferred: Sequence[Instance], key: str) -> Instance:
        if len(preferred) == 1:
            return preferred[0]
        if self.balancer is not None:
            return self.balancer.pick(preferred, key)
        turn, self._turn = self._turn, self._turn + 1
        return preferred[turn % len(preferred)]

    def _refused(self) -> ExecutableRefused | None:
        """
        What speaks against the first program, when not one of the instances may be started.
        """
        refusals = [each.error for each in self.instances if isinstance(each.error, ExecutableRefused)]
        if len(refusals) < len(self.instances):
            return None
        one = refusals[0]
        return ExecutableRefused(one.message, program=one.program, sha256=one.sha256, reasons=one.reasons)

    def _unavailable(self) -> Unavailable:
        if all(each.state is State.STOPPED for each in self.instances):
            return ManagerClosed("it has been stopped")
        if len(self.instances) == 1:
            reasons = self.instances[0].why_out()
        else:
            reasons = "; ".join(f"{each.name}: {each.why_out()}" for each in self.instances)
        retry_after = max(0.0, min(self._back_in(each) for each in self.instances))
        message = f"{reasons} (next try in {retry_after:.1f} s)"
        if any(each.state is State.READY and each.breaker.refuses_for() > 0 for each in self.instances):
            return CircuitOpen(message, retry_after=retry_after)
        return Unavailable(message, retry_after=retry_after, sent=False)

    def _back_in(self, instance: Instance) -> float:
        if instance.state is State.READY:
            return instance.refuses_for()
        return instance.next_try - self._clock()


_ORDER = (Status.HEALTHY, Status.DEGRADED, Status.UNKNOWN, Status.UNHEALTHY, Status.OFFLINE)
_RANK = {Status.HEALTHY: 0, Status.UNKNOWN: 0, Status.DEGRADED: 1, Status.UNHEALTHY: 2, Status.OFFLINE: 3}


def _preferred(able: Sequence[Instance], tried: Collection[Instance]) -> Sequence[Instance]:
    """
    Those that nothing speaks against, as far as there are any: not tried yet, well, of the highest priority, with room.
    """
    able = [each for each in able if each not in tried] or able
    best = min(_RANK[each.condition.status] for each in able)
    able = [each for each in able if _RANK[each.condition.status] == best]
    highest = max(each.endpoint.priority for each in able)
    able = [each for each in able if each.endpoint.priority == highest]
    return [each for each in able if each.limit.has_room] or able
