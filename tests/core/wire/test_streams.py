"""
The numbers of streams.
"""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from remora import ConnectionLost
from remora.wire import StreamTable


class Streams(RuleBasedStateMachine):
    """
    Numbers are odd and rise; each waiter is found exactly once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.table = StreamTable[int]()
        self.model: dict[int, int] = {}
        self.last = -1

    @rule()
    def open(self) -> None:
        number = self.table.open(self.last)

        assert number % 2 == 1
        assert number > self.last
        self.model[number] = self.last
        self.last = number

    @rule(number=st.integers(0, 40))
    def close(self, number: int) -> None:
        assert self.model.pop(number, None) == self.table.pop(number, None)

    @rule()
    def clear(self) -> None:
        assert self.model == self.table
        self.model.clear()
        self.table.clear()

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
    assert {(1 << 31) - 1: "last"} == table
