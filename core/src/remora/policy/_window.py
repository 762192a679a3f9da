"""
Counts of recent events.

Theory of operation: the window is cut into ten buckets, and time into ticks of one bucket's length, beginning when the
window is made, so that the counts do not depend on what the clock shows. Events are added to the bucket of the present
tick; when the next begins, that bucket is added to a running total of the past, and the oldest is subtracted from it
and reused. So an event counts for at least nine tenths of the window and never for longer than the window, and adding
costs the same however much happens. In tick 23, for instance:

    bucket    0   1   2   3   4   5   6   7   8   9
    of tick  20  21  22  23  14  15  16  17  18  19
                          |   `- the oldest: subtracted from the past, and reused, when tick 24 begins
                          `- the present: not in the past yet, but in every total

No locks: the event loop serialises, because no method awaits. Source: the bucketed windows of resilience4j and
failsafe-go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BUCKETS = 10

_FASTEST = 1e9
"""The most ticks per second; a shorter window counts nothing anyhow, but its ticks can be numbered."""


class Window:
    """
    Totals of one or more columns over the last `seconds`.
    """

    __slots__ = ("_begin", "_clock", "_columns", "_counts", "_ends", "_first", "_past", "_present", "_rate", "_tick")

    def __init__(self, seconds: float, *, columns: int, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._columns = columns
        self._rate = min(BUCKETS / seconds, _FASTEST)
        self._begin = clock()
        self._tick = 0
        self._ends = self._begin + 1 / self._rate
        self._counts = [0] * (BUCKETS * columns)  # bucket by bucket; a list for each would need four times the memory
        self._present = 0  # where the present bucket begins
        self._first = 0  # what it has in the first column, which is counted in most
        self._past = [0] * columns

    def count(self, now: float) -> None:
        """
        Count one in the first column; `now` is the time. The same as `add(0)`, for every call.
        """
        if now >= self._ends:
            self._advance(now)
        self._first += 1

    def add(self, column: int, amount: int = 1) -> None:
        """
        Count something that happens now.
        """
        self._advance(self._clock())
        if column:
            self._counts[self._present + column] += amount
        else:
            self._first += amount

    def roll(self) -> list[int]:
        """
        The total of each column as of now.
        """
        self._advance(self._clock())
        return self._totals()

    def total(self, column: int) -> int:
        """
        The total of a column as of the last `add` or `roll`.
        """
        return self._past[column] + (self._counts[self._present + column] if column else self._first)

    def peek(self, column: int) -> int:
        """
        The total of a column as of now. It changes nothing, so it may be called from any thread.
        """
        tick = int((self._clock() - self._begin) * self._rate)
        gone = range(max(self._tick + 1, tick - BUCKETS + 1), tick + 1)
        counts = self._counts.copy()
        counts[self._present] = self._first
        return self.total(column) - sum(counts[each % BUCKETS * self._columns + column] for each in gone)

    def clear(self) -> None:
        """
        Forget everything.
        """
        self._counts = [0] * len(self._counts)
        self._first = 0
        self._past = [0] * self._columns

    def _advance(self, now: float) -> None:
        tick = int((now - self._begin) * self._rate)
        if tick <= self._tick:
            return
        totals = self._totals()
        self._counts[self._present], self._first = self._first, 0
        for passed in range(max(self._tick + 1, tick - BUCKETS + 1), tick + 1):
            begin = passed % BUCKETS * self._columns
            for column in range(self._columns):
                totals[column] -= self._counts[begin + column]
                self._counts[begin + column] = 0
        self._tick, self._ends = tick, self._begin + (tick + 1) / self._rate
        self._past, self._present = totals, tick % BUCKETS * self._columns

    def _totals(self) -> list[int]:
        return [self.total(column) for column in range(self._columns)]
