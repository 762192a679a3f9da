"""
The numbers of streams.
"""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

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
        assert self.model.pop(number, None) == self.table.close(number)

    @rule()
    def close_all(self) -> None:
        assert list(self.model.items()) == self.table.close_all()
        self.model.clear()

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
    with pytest.raises(OverflowError):
        table.open("one too many")
    assert "last" == table.close((1 << 31) - 1)
