"""
By chance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from remora.protocols import Candidate
from remora_balancers._base import BaseBalancer
from remora_balancers._draw import draw
from remora_balancers._share import eligible

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

C = TypeVar("C", bound=Candidate)


class Random(BaseBalancer):
    """
    Any candidate, each as likely as its weight says.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def pick(self, candidates: Sequence[C], key: str, /) -> C:
        """
        Draw one.
        """
        return draw(eligible(candidates), self._rng)
