"""
How weights and warming up become shares of traffic.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from remora.protocols import Candidate

if TYPE_CHECKING:
    from collections.abc import Sequence

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
