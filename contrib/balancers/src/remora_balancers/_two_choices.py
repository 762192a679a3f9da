"""
The better of two.

Theory of operation: two different candidates are drawn, and the one with fewer calls under way for its share takes the
call; equal ones take it by chance, in proportion to their shares. That is nearly as good as comparing all, and a host
that knows little cannot flood the one that looks best.

Source: Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from remora.protocols import Candidate
from remora_balancers._base import BaseBalancer
from remora_balancers._draw import draw, draw_two
from remora_balancers._share import eligible, share

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

C = TypeVar("C", bound=Candidate)


class TwoChoices(BaseBalancer):
    """
    The less loaded one of two that are drawn.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def pick(self, candidates: Sequence[C], key: str, /) -> C:
        """
        Draw two, take one.
        """
        some = eligible(candidates)
        if len(some) == 1:
            return some[0]
        pair = draw_two(some, self._rng)
        first, second = (each.in_flight / share(each) for each in pair)
        if first == second:
            return draw(pair, self._rng)
        return pair[0] if first < second else pair[1]
