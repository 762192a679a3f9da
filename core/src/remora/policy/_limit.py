"""
How many calls may be under way at once, and who is next.

Theory of operation: up to `limit` calls have a place; up to `max_pending` more stand in a queue, first come, first
served; the rest are refused. Whoever gives a place back is told whose it is now, and wakes that one. A place is handed
over, never put up for grabs: a newcomer cannot overtake the queue.

No locks: the event loop serialises, because no method awaits. Source: httpcore's connection pool, which decides in one
step and leaves the waking to its caller.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import final


@final
class Ticket:
    """
    A place, or a place in the queue.

    Attributes:
        is_admitted: Whether the call may go on.
        waiter: For the caller's use: what it wants to find again when the ticket is admitted.
    """

    __slots__ = ("is_admitted", "waiter")

    def __init__(self, *, is_admitted: bool) -> None:
        self.is_admitted = is_admitted
        self.waiter: object = None


_ADMITTED = Ticket(is_admitted=True)


class ConcurrencyLimit:
    """
    The calls under way at one place.

    Attributes:
        limit: How many there may be.
        in_use: How many there are.
        has_room: Whether a call would be admitted at once.
    """

    __slots__ = ("_max_pending", "_queue", "has_room", "in_use", "limit")

    def __init__(self, limit: int, max_pending: int) -> None:
        self.limit = _checked("limit", limit, 1)
        self.in_use = 0
        self.has_room = True
        self._max_pending = _checked("max_pending", max_pending, 0)
        self._queue: OrderedDict[Ticket, None] = OrderedDict()

    @property
    def pending(self) -> int:
        """
        How many wait in the queue.
        """
        return len(self._queue)

    def acquire(self) -> Ticket | None:
        """
        Ask for a place: an admitted ticket, one that waits in the queue, or None when the queue is full.
        """
        if self.has_room:
            self.in_use += 1
            self.has_room = self.in_use < self.limit
            return _ADMITTED
        if len(self._queue) >= self._max_pending:
            return None
        ticket = Ticket(is_admitted=False)
        self._queue[ticket] = None
        return ticket

    def release(self, ticket: Ticket) -> Ticket | None:
        """
        Give a ticket back, once, wherever it has got to.

        Returns:
            The ticket that is admitted in its stead; its owner is to be woken.
        """
        if not ticket.is_admitted:
            del self._queue[ticket]
            return None
        self.in_use -= 1
        if self.has_room:  # then the queue is empty
            return None
        if self._queue:
            admitted = self._admit()
            return admitted[0] if admitted else None
        self.has_room = self.in_use < self.limit
        return None

    def resize(self, limit: int, max_pending: int | None = None) -> list[Ticket]:
        """
        Take other limits. Calls under way go on; nobody is thrown out of the queue.

        Returns:
            The tickets that are admitted by it; their owners are to be woken.
        """
        self.limit = _checked("limit", limit, 1)
        if max_pending is not None:
            self._max_pending = _checked("max_pending", max_pending, 0)
        return self._admit()

    def _admit(self) -> list[Ticket]:
        admitted = []
        while self._queue and self.in_use < self.limit:
            ticket, _ = self._queue.popitem(last=False)
            ticket.is_admitted = True
            self.in_use += 1
            admitted.append(ticket)
        self.has_room = self.in_use < self.limit  # the queue is empty, then
        return admitted


def _checked(name: str, number: int, least: int) -> int:
    if number < least:
        raise ValueError(f"{name}: expected a number of at least {least}, got {number}")
    return number
