"""
Whose turn it is among instances of different weights.

Theory of operation: each instance has a place on a line of virtual time. The one furthest behind is next; taking a turn
moves it ahead by one over its weight, so that turns are taken in proportion to weights, evenly spread. One that was
away starts where the line is now, and does not make up for lost turns.

Source: stride scheduling (Waldspurger and Weihl).

What lives here: the order. What must not: which instances take calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remora._calls._instance import Instance


class Turns:
    """
    The places of instances that have taken a turn.
    """

    __slots__ = ("_now", "_places")

    def __init__(self) -> None:
        self._places: dict[Instance, float] = {}
        self._now = 0.0

    def next(self, instances: Sequence[Instance], key: str = "") -> Instance:
        """
        The instance whose turn it is, among equals the first; it takes its turn. Each has a weight above 0.
        """
        chosen = min(instances, key=self._place)
        self._now = self._place(chosen)
        self._places[chosen] = self._now + 1.0 / chosen.weight
        return chosen

    def _place(self, instance: Instance) -> float:
        return max(self._places.get(instance, 0.0), self._now)
