"""
The report of a policy that its state has changed. The I/O layer publishes it; policies never do.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from remora._frozen import dataclass

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class StateChange(Generic[S]):
    """
    The states before and after, and the cause in a few words.
    """

    before: S
    after: S
    cause: str
