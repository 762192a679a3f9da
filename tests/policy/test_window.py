"""
The window: against a plain list of what happened.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from remora.policy import Window
from remora.testing import ManualClock

STEPS = st.lists(st.tuples(st.floats(0, 40), st.integers(0, 1), st.integers(-5, 5)), max_size=60)


@given(STEPS)
def test_total_is_between_nine_tenths_of_the_window_and_all_of_it(steps: list[tuple[float, int, int]]) -> None:
    """
    What is younger than nine tenths counts, what is older than the window does not.
    """
    clock = ManualClock()
    window = Window(10, columns=2, clock=clock)
    happened: list[tuple[float, int, int]] = []
    for seconds, column, amount in steps:
        clock.advance(seconds)
        if column == 0 and abs(amount) == 1:
            window.count(clock.now)
        else:
            window.add(column, abs(amount))
        happened.append((clock.now, column, abs(amount)))

        for each in (0, 1):
            surely = sum(a for at, c, a in happened if c == each and clock.now - at < 9 - 1e-6)
            perhaps = sum(a for at, c, a in happened if c == each and clock.now - at < 10 + 1e-6)
            assert surely <= window.roll()[each] <= perhaps


@given(st.lists(st.integers(0, 100), max_size=30), st.integers(0, 10**6))
def test_what_is_counted_does_not_depend_on_what_the_clock_shows(steps: list[int], later: int) -> None:
    """
    Else the same traffic could open a breaker in one run and not in the next.
    """
    clocks = ManualClock(0.0), ManualClock(later / 8)
    windows = [Window(10, columns=1, clock=clock) for clock in clocks]
    for step in steps:
        for clock, window in zip(clocks, windows, strict=True):
            clock.advance(step / 8)
            window.add(0)

        assert [windows[0].peek(0)] == [windows[1].peek(0)] == windows[0].roll() == windows[1].roll()


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.5, 1.0, 3.0, 9.0, 10.0, 25.0]), st.integers(0, 2)), max_size=30))
def test_peeking_sees_what_rolling_would_and_changes_nothing(steps: list[tuple[float, int]]) -> None:
    """
    In every column, also long after the last event; whoever looks twice sees the same.
    """
    clock = ManualClock()
    window = Window(10, columns=3, clock=clock)
    for seconds, column in steps:
        window.add(column, 1 + column)
        clock.advance(seconds)
        before = [window.total(each) for each in range(3)]
        seen = [window.peek(each) for each in range(3)]

        assert before == [window.total(each) for each in range(3)]
        assert window.roll() == seen


def test_one_that_is_counted_stays_as_long_as_one_that_is_added() -> None:
    """
    Both belong to the tick in which they happen, from its first moment on.
    """
    clock = ManualClock()
    counting, adding = (Window(10, columns=1, clock=clock) for _ in range(2))
    for _ in range(40):
        counting.count(clock.now)
        adding.add(0)
        clock.advance(0.5)

        assert adding.roll() == [counting.peek(0)]


def test_everything_is_gone_after_the_window() -> None:
    """
    However long nothing was asked.
    """
    clock = ManualClock()
    window = Window(10, columns=1, clock=clock)
    window.add(0, 5)
    clock.advance(1e6)

    assert window.roll() == [0]


def test_clearing_forgets() -> None:
    """
    The buckets too, not only the totals.
    """
    clock = ManualClock()
    window = Window(10, columns=1, clock=clock)
    for _ in range(3):
        window.add(0, 5)
        clock.advance(1)
    window.clear()
    for _ in range(12):
        assert window.roll() == [0]
        clock.advance(1)
