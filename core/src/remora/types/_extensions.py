"""
What extensions have done wrong.
"""

from __future__ import annotations

from remora._frozen import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionFaults:
    """
    What one extension has done wrong while a manager ran it.

    Attributes:
        failures: How many exceptions came out of it.
        delays: How often it blocked the event loop for too long.
        longest: Seconds of the longest of these delays.
        last: The last of the exceptions, in one line; empty when there was none.
    """

    failures: int = 0
    delays: int = 0
    longest: float = 0.0
    last: str = ""
