"""
One configured plugin as the call path sees it: its instances and what is known about them.

What lives here: state, and the choice of an instance. What must not: I/O, waiting, tasks.
"""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from remora.errors import Draining, ManagerClosed, RemoraError, Unavailable
from remora.types import HealthStatus, Status

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remora.config import PluginConfig
    from remora.protocols import Channel
    from remora.types import Endpoint


class Waiter(Protocol):
    """
    Something that is told when the instances of a route have changed.
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
        origin: The distribution of its transport, for messages.
        native_deadline: Whether its channel ends calls at their deadline by itself.
        state: What it is doing.
        channel: The way to it while it is ready.
        error: Why it is not ready.
        next_try: When it will be started again, on the event loop's clock.
        in_flight: Calls under way.
        health: The last that is known of its health.
    """

    def __init__(self, name: str, endpoint: Endpoint, *, native_deadline: bool, origin: str = "") -> None:
        self.name = name
        self.endpoint = endpoint
        self.origin = origin
        self.native_deadline = native_deadline
        self.state = State.STARTING
        self.channel: Channel | None = None
        self.error: RemoraError | None = None
        self.next_try = 0.0
        self.in_flight = 0
        self.health = HealthStatus()

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
        self.health = _health(Status.HEALTHY, "ready")

    def lost(self, error: RemoraError | None, state: State, next_try: float) -> None:
        """
        It takes no calls; it is tried again at `next_try`.
        """
        self.state, self.channel, self.error, self.next_try = state, None, error, next_try
        status = Status.OFFLINE if state in (State.FAILED, State.WAITING) else Status.UNKNOWN
        self.health = _health(status, error.message if error else "the connection was closed")

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
        self.health = _health(Status.OFFLINE, "stopped")


class Route:
    """
    One configured plugin: its instances, in the order of its configuration.

    Attributes:
        config: The plugin's table.
        instances: Its instances.
        in_flight: Calls under way.
        is_draining: Whether new calls are refused.
        is_closed: Whether it is gone for good.
    """

    def __init__(self, config: PluginConfig, instances: Sequence[Instance], *, clock: Callable[[], float]) -> None:
        self.config = config
        self.instances = list(instances)
        self.in_flight = 0
        self.is_draining = False
        self.is_closed = False
        self._clock = clock
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

    def pick(self) -> Instance | None:
        """
        The next instance in turn among those of the highest priority that are ready; None while one is being started.

        Raises:
            Unavailable: None is ready and none is about to be; the message says why.
        """
        ready = [each for each in self.instances if each.state is State.READY]
        if ready:
            priority = max(each.endpoint.priority for each in ready)
            preferred = [each for each in ready if each.endpoint.priority == priority]
            turn, self._turn = self._turn, self._turn + 1
            return preferred[turn % len(preferred)]
        if any(each.state is State.STARTING for each in self.instances):
            return None
        raise self._unavailable()

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

    def health(self) -> HealthStatus:
        """
        The health of the plugin: the best of its instances, degraded when they do not agree.
        """
        statuses = {each.health.status for each in self.instances}
        best = min((each.health for each in self.instances), key=lambda health: _ORDER.index(health.status))
        if len(statuses) == 1 or best.status is not Status.HEALTHY:
            return best
        count = sum(each.health.status is Status.HEALTHY for each in self.instances)
        return _health(Status.DEGRADED, f"{count} of {len(self.instances)} instances are healthy")

    def _unavailable(self) -> Unavailable:
        if all(each.state is State.STOPPED for each in self.instances):
            return ManagerClosed("it has been stopped")
        if len(self.instances) == 1 and self.instances[0].error is not None:
            reasons = self.instances[0].error.message
        else:
            reasons = "; ".join(
                f"{each.name}: {each.error.message if each.error else each.state}" for each in self.instances
            )
        retry_after = max(0.0, min(each.next_try for each in self.instances) - self._clock())
        return Unavailable(f"{reasons} (next try in {retry_after:.1f} s)", retry_after=retry_after, sent=False)


_ORDER = (Status.HEALTHY, Status.DEGRADED, Status.UNKNOWN, Status.UNHEALTHY, Status.OFFLINE)


def _health(status: Status, message: str) -> HealthStatus:
    return HealthStatus(status=status, message=message, last_check=time.time())
