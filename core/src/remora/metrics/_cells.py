"""
Where numbers are kept: one cell for each series, fast for one thread and right for all.

Theory of operation: the first thread that records in a cell owns it and counts there without a lock; in a host that is
the thread of the event loop. Every other thread counts beside that, under the cell's lock. Who is sure to be on one
thread only may have a part of its own, and counts there without asking who it is. What is read is the sum of all, so
nothing is lost.

What lives here: cells. What must not: names, labels, exporters.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from threading import Lock, get_ident
from typing import TYPE_CHECKING, TypeAlias, final

from remora.metrics._records import Distribution, Exemplar

if TYPE_CHECKING:
    from collections.abc import Callable


_NOTHING: list[float] = [0, 0]
"""What gauges hold before anything is recorded; never changed."""

_Watched: TypeAlias = "Callable[[], float] | dict[object, Callable[[], float]] | None"


@final
class Tally:
    """
    A part of a counter and of a histogram that belongs to one thread: what happened there, and how long it took.

    Attributes:
        counts: How many durations there were in each bucket.
        sum: Seconds of all of them together.
        apart: How many events there were besides, whose durations are counted elsewhere.
    """

    __slots__ = ("_above", "_bounds", "_bucket", "_upto", "apart", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self.apart: int = 0
        self.counts: list[int] = [0] * (len(bounds) + 1)
        self.sum: float = 0.0
        self._turn_to(0)

    @property
    def number(self) -> int:
        """
        How many events there were, with and without a duration here.
        """
        return self.apart + sum(self.counts)

    def add(self, seconds: float) -> None:
        """
        Count one more, which took this many seconds.
        """
        if not self._above < seconds <= self._upto:  # most are in the same bucket as the one before
            self._turn_to(bisect_left(self._bounds, seconds))
        self.counts[self._bucket] += 1
        self.sum += seconds

    def _turn_to(self, bucket: int) -> None:
        self._bucket = bucket
        self._above, self._upto = (-math.inf, *self._bounds, math.inf)[bucket : bucket + 2]


@final
class BoundCounter:
    """
    A counter with the values of its labels given.
    """

    __slots__ = ("_lock", "_others", "_own", "_owner", "_parts", "started")

    def __init__(self, lock: Lock | None = None) -> None:
        self.started: float = time.time()
        self._owner = 0
        self._own: float = 0
        self._others: float = 0
        self._parts: tuple[Tally, ...] = ()
        self._lock = lock or Lock()

    def inc(self) -> None:
        """
        Count one more.
        """
        if get_ident() == self._owner:
            self._own += 1
        else:
            self._add_elsewhere(1)

    def add(self, amount: float, /) -> None:
        """
        Raise the count by an amount.

        Raises:
            ValueError: The amount is negative, or not a number.
        """
        if not amount >= 0:
            raise ValueError(f"a counter only grows; {amount!r} cannot be added")
        if get_ident() == self._owner:
            self._own += amount
        else:
            self._add_elsewhere(amount)

    def read(self) -> float:
        """
        What has been counted.
        """
        with self._lock:
            return self._own + self._others + sum(part.number for part in self._parts)

    def include(self, part: Tally) -> None:
        """
        Count from now on also what a part counts.
        """
        with self._lock:
            self._parts += (part,)

    def absorb(self, part: Tally) -> None:
        """
        Keep what a part has counted, and forget the part. Once is enough.
        """
        with self._lock:
            if part in self._parts:
                self._parts = _without(part, self._parts)
                self._others += part.number

    def _add_elsewhere(self, amount: float) -> None:
        with self._lock:
            if not self._owner:
                self._owner = get_ident()
            self._others += amount


@final
class BoundGauge:
    """
    A gauge with the values of its labels given.
    """

    __slots__ = ("_lock", "_owner", "_state", "_watched", "started")

    def __init__(self, lock: Lock | None = None) -> None:
        self.started: float = time.time()
        self._owner = 0
        self._state: list[float] = _NOTHING  # of the owner, of others; `set` puts another list in its place
        self._watched: _Watched = None
        self._lock = lock or Lock()

    def set(self, value: float, /) -> None:
        """
        Replace the value.
        """
        with self._lock:
            self._state = [value, 0]

    def add(self, amount: float, /) -> None:
        """
        Raise the value; a negative amount lowers it.
        """
        if get_ident() == self._owner:
            self._state[0] += amount
        else:
            self._add_elsewhere(amount)

    def inc(self) -> None:
        """
        Raise the value by one.
        """
        self.add(1)

    def dec(self) -> None:
        """
        Lower the value by one.
        """
        self.add(-1)

    def watch(self, read: Callable[[], float], *, part: object = None) -> None:
        """
        Take the value from a function, from now on, each time that it is read.

        Args:
            read: The function; it may be called from any thread.
            part: A key for the function, when the value is the sum of what several functions return.
        """
        watched = {**self._parts(), part: read}
        self._watched = read if watched.keys() == {None} else watched

    def forget(self, part: object) -> None:
        """
        Stop asking the function that was given for a part.
        """
        self._watched = {key: read for key, read in self._parts().items() if key != part}

    def read(self) -> float:
        """
        The value.
        """
        watched = self._watched
        if not watched:
            own, others = self._state
            return own + others
        reads = watched.values() if isinstance(watched, dict) else (watched,)
        return sum(read() for read in reads)  # of truth values, a number

    def _parts(self) -> dict[object, Callable[[], float]]:
        watched = self._watched
        if watched is None or isinstance(watched, dict):
            return watched or {}
        return {None: watched}

    def _add_elsewhere(self, amount: float) -> None:
        with self._lock:
            if not self._owner:
                self._owner = get_ident()
            if self._state is _NOTHING:
                self._state = [0, 0]
            self._state[1] += amount


@final
class BoundHistogram:
    """
    A histogram with the values of its labels given.
    """

    __slots__ = (
        "_bounds",
        "_counts",
        "_exemplars",
        "_lock",
        "_others",
        "_owner",
        "_parts",
        "_sum",
        "_sum_of_others",
        "started",
    )

    def __init__(self, bounds: tuple[float, ...], lock: Lock | None = None) -> None:
        self.started: float = time.time()
        self._bounds = bounds
        self._owner = 0
        self._counts: list[int] = []  # there are buckets as soon as something comes into them
        self._sum: float = 0
        self._others: list[int] = []
        self._sum_of_others: float = 0
        self._parts: tuple[Tally, ...] = ()
        self._exemplars: dict[int, tuple[float, str, str, float]] | None = None
        self._lock = lock or Lock()

    def tally(self) -> Tally:
        """
        A new part of it, which a counter may include as well.
        """
        with self._lock:
            self._parts += (part := Tally(self._bounds),)
        return part

    def observe(self, value: float, /, *, trace_id: str = "", span_id: str = "") -> None:
        """
        Record a value; NaN is ignored.

        Args:
            value: The value.
            trace_id: The trace that it was measured in, in hexadecimal digits; it is kept as an exemplar.
            span_id: The span of that trace, in hexadecimal digits.
        """
        if value != value:
            return
        bucket = bisect_left(self._bounds, value)
        if get_ident() == self._owner:
            self._counts[bucket] += 1
            self._sum += value
        else:
            self._observe_elsewhere(bucket, value)
        if trace_id:
            if self._exemplars is None:
                self._exemplars = {}
            self._exemplars[bucket] = value, trace_id, span_id, time.time()

    def read(self) -> Distribution:
        """
        What has been recorded.
        """
        with self._lock:
            none = [0] * (len(self._bounds) + 1)
            columns = (self._counts, self._others, *(part.counts for part in self._parts))
            counts = map(sum, zip(*(each or none for each in columns), none, strict=True))
            total = self._sum + self._sum_of_others + sum(part.sum for part in self._parts)
            kept = dict(self._exemplars or {})
            exemplars = tuple(Exemplar(*kept[each]) if each in kept else None for each in range(len(none)))
            return Distribution(self._bounds, tuple(counts), float(total), exemplars)

    def absorb(self, part: Tally) -> None:
        """
        Keep what a part has recorded, and forget the part. Once is enough.
        """
        with self._lock:
            if part in self._parts:
                self._parts = _without(part, self._parts)
                self._others = list(map(int.__add__, self._others or [0] * len(part.counts), part.counts))
                self._sum_of_others += part.sum

    def _observe_elsewhere(self, bucket: int, value: float) -> None:
        with self._lock:
            if not self._owner:
                self._counts = [0] * (len(self._bounds) + 1)
                self._owner = get_ident()
            self._others = self._others or [0] * (len(self._bounds) + 1)
            self._others[bucket] += 1
            self._sum_of_others += value


def _without(part: Tally, parts: tuple[Tally, ...]) -> tuple[Tally, ...]:
    return tuple(each for each in parts if each is not part)
