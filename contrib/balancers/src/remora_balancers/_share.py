"""
How weights and warming up become shares of traffic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from remora.protocols import Candidate

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

C = TypeVar("C", bound=Candidate)

_COLDEST = 0.001


def share(candidate: Candidate) -> float:
    """
    How much traffic a candidate is to get beside the others; always more than 0.
    """
    weight, warm = candidate.weight, candidate.warmth
    return (weight if weight > 0 else 1) * (warm if warm > _COLDEST else _COLDEST)


def eligible(candidates: Sequence[C]) -> Sequence[C]:
    """
    The candidates that have some weight; all when none has.
    """
    for candidate in candidates:
        if candidate.weight <= 0:
            return [each for each in candidates if each.weight > 0] or candidates
    return candidates


def draw(candidates: Sequence[C], part: Callable[[C], float], rng: random.Random) -> C:
    """
    One of the candidates, each as likely as its part of the whole.
    """
    parts = [part(each) for each in candidates]
    point = rng.random() * sum(parts)
    for candidate, size in zip(candidates, parts, strict=True):
        point -= size
        if point < 0:
            return candidate
    return candidates[-1]  # the parts do not add up exactly


def draw_two(candidates: Sequence[C], rng: random.Random) -> tuple[C, C]:
    """
    Two different ones of at least two candidates, all pairs as likely.
    """
    first = int(rng.random() * len(candidates))
    second = int(rng.random() * (len(candidates) - 1))
    return candidates[first], candidates[second + (second >= first)]
