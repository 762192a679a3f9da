"""
When a socket is looked at before it is waited for.
"""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora_http._client._glance import Glance


def looks(glance: Glance, answers: list[bool]) -> int:
    """
    How often it was looked at the socket, by whether each answer was there at once.
    """
    count = 0
    for is_there in answers:
        if glance.skips:
            glance.skips -= 1
            continue
        count += 1
        if is_there:
            glance.succeed()
        else:
            glance.fail()
    return count


def test_nothing_is_missed_where_answers_are_always_there() -> None:
    assert looks(Glance(), [True] * 1000) == 1000


def test_it_looks_once_in_256_times_where_they_never_are() -> None:
    glance = Glance()
    looks(glance, [False] * 1000)
    assert looks(glance, [False] * 2560) == 10


@pytest.mark.parametrize(("share", "least", "most"), [(0.5, 0.0, 0.02), (0.9, 0.3, 0.6), (0.99, 0.9, 1.0)])
def test_it_looks_where_they_are_nearly_always(share: float, least: float, most: float) -> None:
    chance = Random(0)
    answers = [chance.random() < share for _ in range(20_000)]
    assert least < looks(Glance(), answers) / len(answers) < most


@given(st.lists(st.booleans()))
def test_it_notices_when_answers_begin_to_be_there(answers: list[bool]) -> None:
    glance = Glance()
    looks(glance, answers)
    looks(glance, [True] * 512)
    assert looks(glance, [True] * 100) == 100


@given(st.lists(st.booleans()))
def test_it_never_waits_longer_than_for_255_exchanges(answers: list[bool]) -> None:
    glance = Glance()
    looks(glance, answers)
    assert glance.skips <= glance.pause <= 255
