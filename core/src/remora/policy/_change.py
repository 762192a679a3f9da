"""
What a policy with states reports when its state changes. The I/O layer publishes it; policies never do.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from remora._frozen import dataclass

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class StateChange(Generic[S]):
    """
    From which state to which, and why, in a few words.
    """

    before: S
    after: S
    cause: str
