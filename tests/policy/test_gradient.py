"""
The adaptive limit: given durations, does it find what an instance can bear.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora.policy import Gradient, GradientConfig


def serve(gradient: Gradient, capacity: int, calls: int) -> list[int]:
    """
    The limits while an instance that does `capacity` calls at once, 10 ms each, is as busy as it may be.
    """
    limits = []
    for _ in range(calls):
        in_flight = gradient.limit
        limits.append(gradient.finished(0.01 * max(1.0, in_flight / capacity), in_flight))
    return limits


def test_limit_grows_while_nothing_queues() -> None:
    """
    From four, to the highest.
    """
    gradient = Gradient(GradientConfig())
    assert gradient.limit == 4

    assert serve(gradient, capacity=1000, calls=2000)[-1] == 200


def test_limit_shrinks_when_calls_take_longer() -> None:
    """
    An instance that becomes ten times slower gets fewer calls at once.
    """
    gradient = Gradient(GradientConfig())
    before = serve(gradient, capacity=1000, calls=300)[-1]
    for _ in range(30):
        gradient.finished(0.1, gradient.limit)

    assert gradient.limit < before / 2


def test_dropped_calls_bring_it_down_to_one() -> None:
    """
    The least is one call at a time, and it recovers from there.
    """
    gradient = Gradient(GradientConfig())
    for _ in range(100):
        gradient.dropped()
    assert gradient.limit == 1

    assert serve(gradient, capacity=1000, calls=100)[-1] > 4


def test_limit_does_not_grow_unused() -> None:
    """
    One call at a time says nothing about a hundred.
    """
    gradient = Gradient(GradientConfig())
    for _ in range(1000):
        gradient.finished(0.01, 1)

    assert gradient.limit == 4


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 300), st.booleans()), max_size=200))
def test_limit_stays_in_its_range(calls: list[tuple[float, int, bool]]) -> None:
    """
    Whatever happens, calls of no duration included.
    """
    gradient = Gradient(GradientConfig(minimum=2, initial=3, maximum=50))
    for duration, in_flight, is_dropped in calls:
        limit = gradient.dropped() if is_dropped else gradient.finished(duration, in_flight)

        assert 2 <= limit <= 50


def test_impossible_configuration_is_refused() -> None:
    """
    The first limit lies between the lowest and the highest.
    """
    with pytest.raises(ValueError, match="initial: expected a number from minimum, 1, to maximum, 200, got 300"):
        GradientConfig(initial=300)
