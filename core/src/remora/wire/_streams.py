"""
The table of a connection's streams: which calls are in flight, the numbers that stand for them on the wire, and when
they expire.

What lives here: numbers, the waiters behind them, and deadlines. What must not: bytes, any I/O, the clock.

No lock is needed: nothing here awaits, so the event loop serialises it. A number is taken in the same step in which its
frame is queued, so that numbers rise on the wire however many callers there are.

Theory of operation: a call is one entry, with its deadline. Most calls have left the table before it is asked for
expired ones; those still in it then go to a heap too, where a call that ends leaves a dead entry. Since numbers rise,
and a table keeps its order, those that are not in the heap yet are at its end.
"""

from __future__ import annotations

import math
from heapq import heapify, heappop, heappush
from typing import TypeVar

from remora.errors import ConnectionLost

T = TypeVar("T")

_LAST = (1 << 31) - 1
_DEAD_ENTRIES = 256


class StreamTable(dict[int, tuple[T, float]]):
    """
    The calls in flight of a connection's client, by number: what waits for the reply, and the deadline. A call that is
    not in the table waits for nothing.

    Numbers are odd and rise; none is used twice.

    Attributes:
        is_exhausted: Whether no number is left; the connection has to be replaced.
    """

    def __init__(self, *, first: int = 1) -> None:
        super().__init__()
        self._next = first
        self._heap: list[tuple[float, int]] = []
        self._newest_in_heap = 0
        self.is_exhausted: bool = first > _LAST

    def open(self, waiter: T, deadline: float = math.inf) -> int:
        """
        The number of a new stream.

        Raises:
            ConnectionLost: No number is left.
        """
        number = self._next
        if number >= _LAST:
            if self.is_exhausted:
                raise ConnectionLost("the connection has no stream number left; it is being replaced", sent=False)
            self.is_exhausted = True
        self._next = number + 2
        self[number] = waiter, deadline
        return number

    def take_expired(self, now: float) -> list[int]:
        """
        The numbers of the calls whose deadlines have passed, each only once. They stay in the table.
        """
        self._enlist()
        expired: list[int] = []
        while self._heap and self._heap[0][0] <= now:
            _, number = heappop(self._heap)
            if number in self:
                expired.append(number)
        return expired

    def earliest(self) -> float:
        """
        When to ask for expired calls next: not later than the first deadline.
        """
        self._enlist()
        return self._heap[0][0] if self._heap else math.inf

    def _enlist(self) -> None:
        if len(self._heap) > 2 * len(self) + _DEAD_ENTRIES:
            self._heap = [entry for entry in self._heap if entry[1] in self]
            heapify(self._heap)
        for number in reversed(self):
            if number <= self._newest_in_heap:
                break
            heappush(self._heap, (self[number][1], number))
        self._newest_in_heap = self._next - 2
