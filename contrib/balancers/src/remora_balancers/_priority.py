"""
The best group.

Theory of operation: only candidates of the highest priority among those that can take the call are used, in turn. When
none of them can, the next group takes over; as soon as one can again, it takes over back.
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


class Priority(BaseBalancer):
    """
    Turns within the group of the highest priority.
    """

    def __init__(self) -> None:
        self._turns = Turns(share)

    def pick(self, candidates: Sequence[C], key: str, /) -> C:
        """
        The one in the best group whose turn it is.
        """
        some = eligible(candidates)
        best = max(each.priority for each in some)
        return self._turns.next([each for each in some if each.priority == best])

    def forget(self, name: str, /) -> None:
        """
        Forget its place.
        """
        self._turns.forget(name)
