"""
Many deadlines behind one timer.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from remora.io._deadlines import Deadlines

times = st.integers(0, 100).map(float)


class DeadlineTable(RuleBasedStateMachine):
    """
    Every call expires once, in the order of deadlines, unless it has ended before; also one whose number another had.
    """

    def __init__(self) -> None:
        super().__init__()
        self.deadlines = Deadlines()
        self.model: dict[int, float] = {}
        self.number = 0

    @rule(deadline=times, count=st.sampled_from([1, 300]))
    def add(self, deadline: float, count: int) -> None:
        for _ in range(count):
            self.number += 1
            self.deadlines.add(self.number, deadline)
            self.model[self.number] = deadline

    @rule(number=st.integers(1, 5), deadline=times)
    def add_again(self, number: int, deadline: float) -> None:
        if number <= self.number and number not in self.model:
            self.deadlines.add(number, deadline)
            self.model[number] = deadline

    @rule(keep=st.integers(1, 7))
    def discard(self, keep: int) -> None:
        for number in [number for number in self.model if number % keep]:
            self.deadlines.discard(number)
            del self.model[number]

    @rule(now=times)
    def expire(self, now: float) -> None:
        due = sorted((deadline, number) for number, deadline in self.model.items() if deadline <= now)

        assert [number for _, number in due] == self.deadlines.take_expired(now)
        for _, number in due:
            del self.model[number]

    @invariant()
    def keeps_no_more_dead_than_living(self) -> None:
        assert len(self.model) == len(self.deadlines)
        assert len(self.deadlines._heap) <= 2 * len(self.model) + 256 + 300


TestDeadlineTable = DeadlineTable.TestCase
