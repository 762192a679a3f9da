"""
The table of a connection's streams: which calls are in flight, and the numbers that stand for them on the wire.

What lives here: numbers and the waiters behind them. What must not: bytes, any I/O.

No lock is needed: nothing here awaits, so the event loop serialises it. A number is taken in the same step in which its
frame is queued, so that numbers rise on the wire however many callers there are.
"""

from __future__ import annotations

from typing import TypeVar

from remora.errors import ConnectionLost

T = TypeVar("T")

_LAST = (1 << 31) - 1


class StreamTable(dict[int, T]):
    """
    The calls in flight of a connection's client, by number; a call that is not in the table waits for nothing.

    Numbers are odd and rise; none is used twice.

    Attributes:
        is_exhausted: Whether no number is left; the connection has to be replaced.
    """

    def __init__(self, *, first: int = 1) -> None:
        super().__init__()
        self._next = first
        self.is_exhausted = first > _LAST

    def open(self, waiter: T) -> int:
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
        self[number] = waiter
        return number
