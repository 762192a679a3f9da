"""
Many deadlines behind one timer.
"""

from __future__ import annotations

import anyio
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from remora.io._deadlines import Deadlines

VIRTUAL_TIME = True

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


def test_dead_entries_are_dropped_when_they_are_many() -> None:
    """
    Long before their time comes.
    """
    deadlines = Deadlines()
    for number in range(1000):
        deadlines.add(number, 9.0)
    assert 9.0 == deadlines.earliest()
    for number in range(999):
        deadlines.discard(number)

    assert len(deadlines._heap) <= 2 + 256
    assert [999] == deadlines.take_expired(9.0)


@pytest.mark.anyio
async def test_a_number_may_be_added_again_as_its_time_comes() -> None:
    """
    Though nothing else is watched: who has a little time left is looked at again when that is over.
    """
    deadlines, rung, is_done = Deadlines(), list[float](), anyio.Event()

    def expire(number: int) -> None:
        rung.append(anyio.current_time())
        if len(rung) < 3:
            deadlines.add(number, rung[-1] + 1)
        else:
            is_done.set()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(deadlines.watch, expire)
            deadlines.add(1, anyio.current_time() + 1)
            await is_done.wait()
            tasks.cancel_scope.cancel()

    assert [rung[0], rung[0] + 1, rung[0] + 2] == pytest.approx(rung, abs=0.01)


@pytest.mark.anyio
async def test_an_earlier_deadline_is_not_missed_for_a_later_one() -> None:
    """
    Whether or not anything was waited for before.
    """
    deadlines, rung, start = Deadlines(), list[tuple[int, float]](), anyio.current_time()

    def expire(number: int) -> None:
        rung.append((number, anyio.current_time() - start))
        if len(deadlines) == 0:
            tasks.cancel_scope.cancel()

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(deadlines.watch, expire)
            for number, seconds in [(1, 9), (2, 3), (3, 6)]:
                await anyio.wait_all_tasks_blocked()
                deadlines.add(number, start + seconds)

    assert [2, 3, 1] == [number for number, _ in rung]
    assert [3, 6, 9] == pytest.approx([seconds for _, seconds in rung], abs=0.01)
