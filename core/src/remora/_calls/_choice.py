"""
Which instance of a plugin takes a call.

What lives here: the choice. What must not: the states of instances, and why none takes calls (see `_outage`).
"""

from __future__ import annotations

import math
from operator import attrgetter
from typing import TYPE_CHECKING

from remora.policy import Turns
from remora.types import Status

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from remora._calls._balancing import Balancing
    from remora._calls._instance import Instance

_WARMING = 0.05
"""Seconds between two updates of the weights of instances that warm up."""

_RANK = {Status.HEALTHY: 0, Status.UNKNOWN: 0, Status.DEGRADED: 1, Status.UNHEALTHY: 3, Status.OFFLINE: 4}
_UNPROVED = 2
"""The rank of an instance that has yet to answer for the first time: one that is known to answer is preferred."""


class Choice:
    """
    Chooses among the instances of a plugin.

    Args:
        nobody: Called when none takes calls; it raises the reason, or returns when that may soon be over.

    Attributes:
        instances: Those that it chooses among: all that have some weight, or all when none has.
    """

    __slots__ = ("_among", "_is_flat", "_nobody", "_only", "_turn", "_warmer_at", "instances")

    def __init__(self, nobody: Callable[[], None]) -> None:
        self._nobody = nobody
        self._turn = 0
        self.arrange((), None)

    def arrange(self, instances: Sequence[Instance], balancing: Balancing | None) -> None:
        """
        Choose among these instances from now on, with this balancer; without one, they take turns by their weights.
        """
        instances = [each for each in instances if each.weight > 0] or instances
        self.instances: Sequence[Instance] = instances
        self._is_flat = len({each.priority for each in instances}) == 1
        self._only = instances[0] if len(instances) == 1 else None
        self._among = self._turns() if balancing is None or len(instances) == 1 else balancing.pick
        self._warmer_at = -math.inf

    def changed(self) -> None:
        """
        An instance has changed.
        """
        self._warmer_at = -math.inf

    def pick(self, now: float, key: str, tried: Collection[Instance]) -> Instance | None:
        """
        The instance for a call; None while none takes calls but one is being started, or will be.

        Args:
            now: The time on the event loop's clock.
            key: The call's key, for balancers that send calls with the same key to the same instance.
            tried: Instances on which the call has failed already; others are preferred.

        Raises:
            CircuitOpen: The circuit breakers of all instances refuse calls.
            ConfigError: None of the instances can be opened as it is configured.
            Unavailable: No instance takes calls; the message says which are out, why, and until when.
            VersionMismatch: All instances have another version than is required.
        """
        only = self._only
        if only is not None and only.is_prime and only.limit.has_room:
            return only
        if now >= self._warmer_at:
            self._warm_up(now)
        instances = self.instances
        if self._is_flat and not tried:
            for each in instances:
                if not (each.is_prime and each.limit.has_room):
                    break
            else:  # all of them are equally fit
                return self._among(instances, key)
        able = [each for each in instances if each.is_able]
        if len(able) == 1:
            return able[0]
        if able:
            return self._choose(_preferred(able, tried), key)
        self._nobody()
        return None

    def _warm_up(self, now: float) -> None:
        """
        Raise the shares of instances that were started recently, while any of them still warms up.
        """
        are_warming = [each.warm_up(now) for each in self.instances]
        self._warmer_at = now + _WARMING if any(are_warming) else math.inf

    def _choose(self, preferred: Sequence[Instance], key: str) -> Instance:
        return preferred[0] if len(preferred) == 1 else self._among(preferred, key)

    def _turns(self) -> Callable[[Sequence[Instance], str], Instance]:
        """
        How they take turns: those of the same weight simply one after the other.
        """
        if len({max(0, each.weight) for each in self.instances}) <= 1:
            return self._next
        turns = Turns(attrgetter("weight"))
        return lambda preferred, key: turns.next(preferred)

    def _next(self, preferred: Sequence[Instance], key: str) -> Instance:
        turn, self._turn = self._turn, self._turn + 1
        return preferred[turn % len(preferred)]


def _preferred(able: Sequence[Instance], tried: Collection[Instance]) -> Sequence[Instance]:
    """
    The best ones, by what can be had: not tried yet, then healthy, then of the highest priority, then with room.
    """
    able = [each for each in able if each not in tried] or able
    best = min(map(_rank, able))
    able = [each for each in able if _rank(each) == best]
    highest = max(each.endpoint.priority for each in able)
    able = [each for each in able if each.endpoint.priority == highest]
    return [each for each in able if each.limit.has_room] or able


def _rank(instance: Instance) -> int:
    condition = instance.condition
    return _RANK[condition.standing] if condition.is_proved else _UNPROVED
