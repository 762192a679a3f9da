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
    window.add(0, 5)
    window.clear()
    clock.advance(10)

    assert window.roll() == [0]
