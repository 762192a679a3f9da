"""
Where the fewest calls are under way.

Theory of operation: the load of a candidate is its calls under way for its share. Up to four candidates are compared
all; of more, two are drawn and compared, which costs the same for any number and keeps many hosts from choosing the
same one. Equal loads take turns.

Sources: Envoy's least request; Finagle's power of two choices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from remora.policy import Turns
from remora.protocols import Candidate
from remora_balancers._base import BaseBalancer
from remora_balancers._draw import FEW, draw_few
from remora_balancers._share import eligible, share

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

C = TypeVar("C", bound=Candidate)


class LeastConnections(BaseBalancer):
    """
    The candidate with the least load.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._turns = Turns(share)

    def pick(self, candidates: Sequence[C], key: str, /) -> C:
        """
        The least loaded one, of all or of two.
        """
        if len(candidates) <= FEW and (idle := self._turns.next_idle(candidates)) is not None:
            return idle  # nothing shared is nothing
        compared = draw_few(eligible(candidates), self._rng)
        return self._turns.take(min(compared, key=self._rank))

    def forget(self, name: str, /) -> None:
        """
        Forget its place.
        """
        self._turns.forget(name)

    def _rank(self, candidate: Candidate) -> tuple[float, float]:
        return candidate.in_flight / share(candidate), self._turns.place(candidate)
