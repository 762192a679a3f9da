"""
How many calls may be under way at once, and which is next.

Theory of operation: up to `limit` calls have a place; up to `max_pending` more stand in a queue, first come, first
served; the rest are refused. Giving a place back returns the ticket that gets it next, and the caller wakes its owner.
A place is handed over, never put up for grabs: a newcomer cannot overtake the queue.

No locks: the event loop serialises, because no method awaits. Source: httpcore's connection pool, which decides in one
step and leaves the waking to its caller.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import final


@final
class Ticket:
    """
    A call's place among those under way, or in the queue.

    Attributes:
        is_admitted: Whether the call may go on.
        waiter: Free for the caller's use, for what it needs to wake the owner when the ticket is admitted.
    """

    __slots__ = ("is_admitted", "waiter")

    def __init__(self, *, is_admitted: bool) -> None:
        self.is_admitted: bool = is_admitted
        self.waiter: object = None


_ADMITTED = Ticket(is_admitted=True)


class ConcurrencyLimit:
    """
    Limits the calls under way at a plugin or an instance, and queues those beyond.

    Attributes:
        limit: How many may be under way.
        in_use: How many are under way.
        has_room: Whether a call would be admitted at once.
    """

    __slots__ = ("_max_pending", "_queue", "has_room", "in_use", "limit")

    def __init__(self, limit: int, max_pending: int) -> None:
        self.limit: int = _checked("limit", limit, 1)
        self.in_use: int = 0
        self.has_room: bool = True
        self._max_pending = _checked("max_pending", max_pending, 0)
        self._queue: OrderedDict[Ticket, None] = OrderedDict()

    @property
    def pending(self) -> int:
        """
        How many calls wait in the queue.
        """
        return len(self._queue)

    def acquire(self) -> Ticket | None:
        """
        Ask for a place: an admitted ticket, one that waits in the queue, or None when the queue is full.
        """
        if self.has_room:
            self.in_use += 1
            if self.in_use >= self.limit:
                self.has_room = False
            return _ADMITTED
        if len(self._queue) >= self._max_pending:
            return None
        ticket = Ticket(is_admitted=False)
        self._queue[ticket] = None
        return ticket

    def release(self, ticket: Ticket) -> Ticket | None:
        """
        Give a ticket back, once, whether it was admitted or still waits.

        Returns:
            The ticket that is admitted in its stead, whose owner is to be woken; None when there is none.
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
        Take other limits. Calls under way go on, and those in the queue stay there.

        Returns:
            The tickets that are admitted now; their owners are to be woken.
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
