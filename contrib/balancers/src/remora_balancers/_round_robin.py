"""
Each in turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from remora.policy import Turns
from remora.protocols import Candidate
from remora_balancers._base import BaseBalancer
from remora_balancers._share import eligible, share

if TYPE_CHECKING:
    from collections.abc import Sequence

C = TypeVar("C", bound=Candidate)


class RoundRobin(BaseBalancer):
    """
    Candidates take turns, in proportion to their weights.
    """

    def __init__(self) -> None:
        self._turns = Turns(share)

    def pick(self, candidates: Sequence[C], key: str, /) -> C:
        """
        The one whose turn it is.
        """
        return self._turns.next(eligible(candidates))

    def forget(self, name: str, /) -> None:
        """
        Forget its place.
        """
        self._turns.forget(name)
