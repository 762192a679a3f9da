"""
Whose turn it is among instances with different shares of the calls.

Theory of operation: each candidate has a place on a line of virtual time. The one furthest behind is next; taking a
turn moves it ahead by one over its share, so that in the long run turns are taken in proportion to shares, evenly
spread. One that is new or was away starts where the line is now: it neither makes up for lost turns nor loses any.

Source: stride scheduling (Waldspurger and Weihl), which is also Envoy's weighted round-robin.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from remora.protocols import Candidate

C = TypeVar("C", bound="Candidate")


class Turns:
    """
    The places of all candidates that ever took a turn, by name.

    Args:
        share: The share of a candidate, relative to those of the others; more than 0.
    """

    __slots__ = ("_now", "_places", "_share")

    def __init__(self, share: Callable[[Candidate], float]) -> None:
        self._share = share
        self._places: dict[str, float] = {}
        self._now = 0.0

    def next(self, candidates: Sequence[C]) -> C:
        """
        The candidate whose turn it is; among equals the first. It takes its turn.
        """
        places, now = self._places, self._now
        chosen, lowest = candidates[0], math.inf
        for each in candidates:
            place = places.get(each.name, now)
            if place <= now:  # none stands behind the line
                return self._move(each, now)
            if place < lowest:
                chosen, lowest = each, place
        return self._move(chosen, lowest)

    def next_idle(self, candidates: Iterable[C]) -> C | None:
        """
        The same among those that have some weight and no call under way; None when there are none.
        """
        places, now = self._places, self._now
        chosen, lowest = None, math.inf
        for each in candidates:
            if each.in_flight or each.weight <= 0:
                continue
            place = places.get(each.name, now)
            if place <= now:
                return self._move(each, now)
            if place < lowest:
                chosen, lowest = each, place
        return None if chosen is None else self._move(chosen, lowest)

    def place(self, candidate: Candidate) -> float:
        """
        Where a candidate stands; the lowest is next.
        """
        place = self._places.get(candidate.name, 0.0)
        return place if place > self._now else self._now

    def take(self, candidate: C) -> C:
        """
        Note that a candidate takes a turn.
        """
        return self._move(candidate, self.place(candidate))

    def forget(self, name: str) -> None:
        """
        Forget a candidate's place.
        """
        self._places.pop(name, None)

    def _move(self, candidate: C, line: float) -> C:
        """
        The line is now where a candidate stands that takes its turn; the candidate moves ahead of it.
        """
        self._now = line
        self._places[candidate.name] = line + 1.0 / self._share(candidate)
        return candidate
