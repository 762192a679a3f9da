"""
The choice among instances.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class Candidate(Protocol):
    """
    An instance as a balancer sees it.
    """

    @property
    def name(self) -> str:
        """
        Its name, the same for as long as it exists.
        """
        ...

    @property
    def weight(self) -> int:
        """
        Its share of traffic, relative to the weights of the others; with 0 it gets calls only when all have 0.
        """
        ...

    @property
    def priority(self) -> int:
        """
        The highest number is preferred.
        """
        ...

    @property
    def in_flight(self) -> int:
        """
        The number of its calls under way.
        """
        ...

    @property
    def warmth(self) -> float:
        """
        How much of its share it should get while it warms up: more than 0, and 1 once it is warm.
        """
        ...


C = TypeVar("C", bound=Candidate)


class Balancer(Protocol):
    """
    Chooses among the instances of one plugin. Its methods are not async, so nothing else happens while it decides.
    """

    def pick(self, candidates: Sequence[C], key: str, /) -> C:
        """
        The candidate for a call.

        Args:
            candidates: Those that can take the call, in the order of the configuration; at least one.
            key: What the call is about; calls with the same key may be sent to the same candidate. Empty for none.
        """
        ...

    def started(self, candidate: Candidate, /) -> None:
        """
        A call is sent to a candidate, whether this balancer chose it or not; it is among those under way already.
        """
        ...

    def finished(self, candidate: Candidate, /, *, latency: float, ok: bool | None) -> None:
        """
        A call to a candidate has ended, and is not under way any more.

        Args:
            candidate: The candidate.
            latency: Seconds that the call took.
            ok: Whether it speaks for the candidate (True), against it (False), or neither (None: it was cancelled).
        """
        ...

    def forget(self, name: str, /) -> None:
        """
        A candidate is gone for good: drop what is known about it. The name may be unknown.
        """
        ...
