"""
The limit of calls under way: by examples, and as a machine.
"""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from remora.policy import ConcurrencyLimit, Ticket
from tests.share import of_hundred


def test_limit_is_a_limit() -> None:
    """
    Of fifty at once, three have a place, ten wait, the rest are refused.
    """
    limit = ConcurrencyLimit(3, 10)
    tickets = [limit.acquire() for _ in range(50)]

    assert sum(ticket is not None and ticket.is_admitted for ticket in tickets) == 3
    assert sum(ticket is not None and not ticket.is_admitted for ticket in tickets) == 10
    assert sum(ticket is None for ticket in tickets) == 37


def test_place_is_handed_to_who_waits_longest() -> None:
    """
    And a newcomer cannot overtake.
    """
    limit = ConcurrencyLimit(1, 10)
    running, first, second = limit.acquire(), limit.acquire(), limit.acquire()
    assert running is not None
    assert first is not None

    assert limit.release(running) is first
    assert first.is_admitted
    assert limit.release(first) is second


def test_one_who_stops_waiting_frees_the_queue_only() -> None:
    """
    No place is freed that was not held.
    """
    limit = ConcurrencyLimit(1, 1)
    limit.acquire()
    waiting = limit.acquire()
    assert waiting is not None

    assert limit.release(waiting) is None
    assert (limit.in_use, limit.pending) == (1, 0)


def test_one_who_is_admitted_while_going_away_hands_the_place_on() -> None:
    """
    A place that nobody was there to take is not lost.
    """
    limit = ConcurrencyLimit(1, 2)
    running, first, second = limit.acquire(), limit.acquire(), limit.acquire()
    assert running is not None
    assert first is not None
    limit.release(running)

    assert limit.release(first) is second


def test_growing_admits_those_who_wait() -> None:
    """
    Shrinking throws nobody out.
    """
    limit = ConcurrencyLimit(1, 5)
    tickets = [limit.acquire() for _ in range(4)]
    assert limit.resize(3) == tickets[1:3]
    limit.resize(1)
    assert limit.in_use == 3
    assert tickets[1] is not None
    assert limit.release(tickets[1]) is None

    assert limit.in_use == 2


@pytest.mark.parametrize(("numbers", "name"), [((0, 1), "limit"), ((1, -1), "max_pending")])
def test_impossible_limits_are_refused(numbers: tuple[int, int], name: str) -> None:
    """
    A limit of nothing would let nobody through for ever.
    """
    with pytest.raises(ValueError, match=f"{name}: expected a number of at least"):
        ConcurrencyLimit(*numbers)


class LimitMachine(RuleBasedStateMachine):
    """
    Callers who come and go, and limits that change.
    """

    def __init__(self) -> None:
        super().__init__()
        self.limit = ConcurrencyLimit(2, 3)
        self.most = 2
        self.longest = 3
        self.held: list[Ticket] = []
        self.queue: list[Ticket] = []

    def admitted(self, tickets: list[Ticket]) -> None:
        """
        Those who are let in are those who waited longest.
        """
        assert tickets == self.queue[: len(tickets)]
        del self.queue[: len(tickets)]
        self.held += tickets

    @rule()
    def come(self) -> None:
        """
        One asks for a place.
        """
        ticket = self.limit.acquire()
        if ticket is None:
            assert len(self.queue) >= self.longest
        elif ticket.is_admitted:
            assert not self.queue
            self.held.append(ticket)
        else:
            assert len(self.queue) < self.longest
            self.queue.append(ticket)

    @precondition(lambda self: self.held or self.queue)
    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        """
        One goes, whether it has a place or waits.
        """
        everybody = self.held + self.queue
        index = data.draw(st.integers(0, len(everybody) - 1))
        (self.held if index < len(self.held) else self.queue).remove(everybody[index])
        woken = self.limit.release(everybody[index])
        self.admitted([woken] if woken else [])
        self.most = max(self.limit.limit, self.limit.in_use)

    @rule(limit=st.integers(1, 4), max_pending=st.none() | st.integers(0, 4))
    def resize(self, limit: int, max_pending: int | None) -> None:
        """
        The limits change.
        """
        self.most = max(limit, self.limit.in_use)
        if max_pending is not None:
            self.longest = max_pending
        self.admitted(self.limit.resize(limit, max_pending))

    @invariant()
    def never_more_than_the_limit(self) -> None:
        """
        Said aloud: no more have a place than the limit allows, or than had one when it shrank.
        """
        assert self.limit.in_use == len(self.held) <= self.most

    @invariant()
    def nobody_waits_beside_a_free_place(self) -> None:
        """
        Said aloud: when there is a place, nobody waits.
        """
        assert self.limit.pending == len(self.queue)
        assert not self.queue or self.limit.in_use >= self.limit.limit


TestLimitMachine = LimitMachine.TestCase
TestLimitMachine.settings = settings(max_examples=of_hundred(60), stateful_step_count=40)
