"""
The table of a connection's streams: which calls are in flight, and the numbers that stand for them on the wire.

What lives here: numbers and who waits behind them. What must not: bytes, any I/O.

No lock is needed: nothing here awaits, so an event loop serialises it. A number is taken when its frame is queued, in
the same step, so that numbers rise on the wire however many callers there are.
"""

from __future__ import annotations

from typing import Generic, TypeVar

T = TypeVar("T")

_LAST = (1 << 31) - 1


class StreamTable(Generic[T]):
    """
    The calls in flight of a connection's client. Numbers are odd and rise; none is used twice.

    Attributes:
        is_exhausted: Whether no number is left; the connection has to be replaced.
    """

    def __init__(self, *, first: int = 1) -> None:
        self._next = first
        self._waiting: dict[int, T] = {}
        self.is_exhausted = first > _LAST

    def __len__(self) -> int:
        return len(self._waiting)

    def open(self, waiter: T) -> int:
        """
        The number of a new stream.

        Raises:
            OverflowError: No number is left.
        """
        number = self._next
        if number >= _LAST:
            if self.is_exhausted:
                raise OverflowError("the connection has no stream number left")
            self.is_exhausted = True
        self._next = number + 2
        self._waiting[number] = waiter
        return number

    def close(self, number: int) -> T | None:
        """
        Who waits behind a number; None when nobody does (any more). It waits no longer.
        """
        return self._waiting.pop(number, None)

    def close_all(self) -> list[tuple[int, T]]:
        """
        Everybody who waits, with the number. Nobody waits any longer.
        """
        waiting = list(self._waiting.items())
        self._waiting.clear()
        return waiting
