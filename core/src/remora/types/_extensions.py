"""
What is said about extensions: by what they did wrong.
"""

from __future__ import annotations

from remora._frozen import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionFaults:
    """
    What one extension has done wrong while a manager ran it.

    Attributes:
        failures: Exceptions that came out of it.
        delays: Times that it held up the event loop for too long.
        longest: Seconds of the longest of these.
        last: The last of the exceptions, in one line.
    """

    failures: int = 0
    delays: int = 0
    longest: float = 0.0
    last: str = ""
