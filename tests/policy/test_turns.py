"""
Turns among candidates with different shares.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from remora.policy import Turns


@dataclass(frozen=True)
class Candidate:
    """
    One that is always there.
    """

    name: str
    weight: int
    priority: int = 1
    in_flight: int = 0
    warmth: float = 1.0


weights = st.lists(st.integers(1, 9), min_size=1, max_size=6)


@given(weights)
def test_turns_are_in_proportion_and_evenly_spread(shares: list[int]) -> None:
    """
    After any number of turns nobody is more than one turn from its share.
    """
    candidates = [Candidate(str(number), weight) for number, weight in enumerate(shares)]
    turns, taken = Turns(lambda each: each.weight), Counter[str]()
    for count in range(1, 3 * sum(shares) + 1):
        taken[turns.next(candidates).name] += 1
        behind = [count * each.weight / sum(shares) - taken[each.name] for each in candidates]
        assert max(behind) < len(candidates)

    assert {each.name: 3 * each.weight for each in candidates} == taken


@given(weights, st.integers(0, 50))
def test_who_comes_later_makes_up_for_nothing(shares: list[int], before: int) -> None:
    """
    It gets its share from then on.
    """
    candidates = [Candidate(str(number), weight) for number, weight in enumerate(shares)]
    turns = Turns(lambda each: each.weight)
    for _ in range(before):
        turns.next(candidates)
    late = Candidate("late", 1)
    taken = Counter(turns.next([*candidates, late]).name for _ in range(4 * (sum(shares) + 1)))

    assert abs(taken["late"] - 4) <= 1


@given(weights)
def test_turns_of_those_who_are_idle_are_in_proportion_too(shares: list[int]) -> None:
    """
    As long as all are idle, they are the same turns.
    """
    candidates = [Candidate(str(number), weight) for number, weight in enumerate(shares)]
    all_of_them, idle = (Turns(lambda each: each.weight) for _ in range(2))

    for _ in range(3 * sum(shares)):
        assert all_of_them.next(candidates) is idle.next_idle(candidates)


def test_nobody_who_is_busy_or_weighs_nothing_has_a_turn() -> None:
    """
    Their turn is not taken from them either; it waits.
    """
    turns = Turns(lambda each: each.weight)
    free, busy, none = Candidate("a", 1), Candidate("b", 1, in_flight=1), Candidate("c", 0)

    assert turns.next_idle([busy, none]) is None
    assert [free, free] == [turns.next_idle([none, busy, free]) for _ in range(2)]
    assert turns.place(busy) < turns.place(free)


def test_places_rise_with_turns_and_are_forgotten() -> None:
    """
    Who is new or was away stands where the line is.
    """
    turns = Turns(lambda each: each.weight)
    slow, fast, new = Candidate("a", 1), Candidate("b", 2), Candidate("c", 1)

    assert [slow, fast, fast] == [turns.take(each) for each in (slow, fast, fast)]
    assert [1.0, 1.0, 0.5] == [turns.place(each) for each in (slow, fast, new)]
    turns.take(slow)
    assert [2.0, 1.0, 1.0] == [turns.place(each) for each in (slow, fast, new)]
    turns.forget("a")
    assert turns.place(slow) == turns.place(new)
