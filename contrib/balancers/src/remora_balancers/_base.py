"""
What a balancer does that learns nothing from calls.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remora.protocols import Candidate


class BaseBalancer:
    """
    Takes note of nothing. A strategy overrides what it wants to know.
    """

    def started(self, candidate: Candidate, /) -> None:
        """
        Not of interest.
        """

    def finished(self, candidate: Candidate, /, *, latency: float, ok: bool | None) -> None:
        """
        Not of interest.
        """

    def forget(self, name: str, /) -> None:
        """
        Nothing is kept.
        """
