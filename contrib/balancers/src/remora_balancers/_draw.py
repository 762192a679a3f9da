"""
Candidates that are drawn by chance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from remora.protocols import Candidate
from remora_balancers._share import share

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

C = TypeVar("C", bound=Candidate)

FEW = 4
"""Up to so many candidates, all are compared."""


def draw(candidates: Sequence[C], rng: random.Random) -> C:
    """
    One of the candidates, each as likely as its share of the whole.
    """
    shares = [share(each) for each in candidates]
    point = rng.random() * sum(shares)
    for candidate, size in zip(candidates, shares, strict=True):
        point -= size
        if point < 0:
            return candidate
    return candidates[-1]  # the shares do not add up exactly


def draw_two(candidates: Sequence[C], rng: random.Random) -> tuple[C, C]:
    """
    Two different ones of at least two candidates, all pairs as likely.
    """
    first = int(rng.random() * len(candidates))
    second = int(rng.random() * (len(candidates) - 1))
    return candidates[first], candidates[second + (second >= first)]


def draw_few(candidates: Sequence[C], rng: random.Random) -> Sequence[C]:
    """
    Those that are compared: all of a few candidates, two of more.
    """
    return candidates if len(candidates) <= FEW else draw_two(candidates, rng)
