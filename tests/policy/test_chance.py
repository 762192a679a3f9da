"""
Chance in few bytes.
"""

from __future__ import annotations

import random
from statistics import mean, pstdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora.policy import Chance, Dice


@given(st.integers(), st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_what_is_drawn_lies_within_the_bounds(seed: int, low: float, width: float) -> None:
    """
    Whatever the seed and the bounds.
    """
    assert low <= Dice(seed).uniform(low, low + width) <= low + width


@pytest.mark.parametrize("make", [Dice, random.Random])
def test_the_same_seed_draws_the_same_and_another_one_something_else(make: type[Dice] | type[random.Random]) -> None:
    """
    A simulation can be replayed, with either source.
    """
    one, again, other = make(7), make(7), make(8)
    drawn = _draw(one)

    assert drawn == _draw(again)
    assert drawn != _draw(other)


def test_all_numbers_are_as_likely() -> None:
    """
    Also those of dice whose seeds follow each other: mean and spread are those of an even distribution.
    """
    drawn = [Dice(seed).uniform(0.0, 1.0) for seed in range(20_000)] + _draw(Dice(1), 20_000)
    halves = drawn[:20_000], drawn[20_000:]

    for half in halves:
        assert mean(half) == pytest.approx(0.5, abs=0.01)
        assert pstdev(half) == pytest.approx(12**-0.5, abs=0.01)
        tenths = [sum(int(each * 10) == tenth for each in half) for tenth in range(10)]
        assert min(tenths) > 1800
        assert max(tenths) < 2200


def test_it_mixes_as_the_published_generator_does() -> None:
    """
    The first numbers of SplitMix64 with the seed 1234567, as published with its reference implementation.
    """
    dice = Dice(1234567)

    assert [dice._bits() for _ in range(2)] == [6457827717110365317, 3203168211198807973]


def _draw(chance: Chance, number: int = 10) -> list[float]:
    return [chance.uniform(0.0, 1.0) for _ in range(number)]
