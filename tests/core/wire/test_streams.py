"""
The numbers of streams, and their deadlines.
"""

from __future__ import annotations

import math

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from remora import ConnectionLost
from remora.wire import StreamTable

times = st.integers(0, 100).map(float)


class Streams(RuleBasedStateMachine):
    """
    Numbers are odd and rise; each waiter is found exactly once; each call expires once, in the order of deadlines,
    unless it has ended before.
    """

    def __init__(self) -> None:
        super().__init__()
        self.table = StreamTable[int]()
        self.model: dict[int, tuple[int, float]] = {}
        self.told: set[int] = set()
        self.last = -1

    @rule(deadline=times | st.just(math.inf), count=st.sampled_from([1, 300]))
    def open(self, deadline: float, count: int) -> None:
        for _ in range(count):
            number = self.table.open(self.last, deadline)

            assert number % 2 == 1
            assert number > self.last
            self.model[number] = self.last, deadline
            self.last = number

    @rule(number=st.integers(0, 40))
    def close(self, number: int) -> None:
        assert self.model.pop(number, None) == self.table.pop(number, None)

    @rule(keep=st.integers(1, 7))
    def close_many(self, keep: int) -> None:
        for number in [number for number in self.model if number % keep]:
            del self.model[number], self.table[number]

    @rule()
    def clear(self) -> None:
        assert self.model == self.table
        self.model.clear()
        self.table.clear()

    @rule(now=times)
    def expire(self, now: float) -> None:
        due = [(deadline, number) for number, (_, deadline) in self.model.items() if deadline <= now]
        new = [number for _, number in sorted(due) if number not in self.told]

        assert new == self.table.take_expired(now)
        self.told.update(new)

    @rule()
    def look_ahead(self) -> None:
        coming = [deadline for number, (_, deadline) in self.model.items() if number not in self.told]

        assert self.table.earliest() <= min(coming, default=math.inf)
        assert len(self.table._heap) <= 3 * len(self.model) + 256

    @invariant()
    def counts_who_waits(self) -> None:
        assert len(self.model) == len(self.table)


TestStreams = Streams.TestCase


def test_the_last_number_is_used_and_none_after_it() -> None:
    """
    Numbers have 31 bits.
    """
    table = StreamTable[str](first=(1 << 31) - 1)

    assert (1 << 31) - 1 == table.open("last")
    assert table.is_exhausted
    with pytest.raises(ConnectionLost) as caught:
        table.open("one too many")
    assert not caught.value.sent
    assert {(1 << 31) - 1: ("last", math.inf)} == table
