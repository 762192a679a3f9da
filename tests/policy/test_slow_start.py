"""
Slow start.
"""

from __future__ import annotations

import pytest

from remora.policy import SlowStart, SlowStartConfig


@pytest.mark.parametrize(
    ("age", "factor"), [(-1, 0.1), (0, 0.1), (0.5, 0.1), (1, 0.1), (5, 0.5), (10, 1), (1e9, 1), (9.9, 0.99)]
)
def test_factor_grows_with_age(age: float, factor: float) -> None:
    """
    From a tenth to all within ten seconds.
    """
    assert SlowStart(SlowStartConfig()).factor(age) == pytest.approx(factor)


def test_aggression_makes_it_faster_at_first() -> None:
    """
    The square root at 2.
    """
    assert SlowStart(SlowStartConfig(aggression=2)).factor(2.5) == pytest.approx(0.5)


def test_slow_start_can_be_switched_off() -> None:
    """
    All at once, then.
    """
    assert SlowStart(SlowStartConfig(enabled=False)).factor(0) == 1
