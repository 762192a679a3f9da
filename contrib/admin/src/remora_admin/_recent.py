"""
What has happened lately: counts as they were at earlier looks, so that a share or a rate is one of the last minute.

What lives here: remembering counts. What must not: where they come from.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_WINDOW = 60.0
_STEP = 1.0  # seconds between two looks that are kept

FAULTS = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "UNKNOWN", "DATA_LOSS"})
"""The codes that say that something is wrong with the plugin; the alert rules count the same ones."""


@dataclass(frozen=True, slots=True)
class Counts:
    """
    Calls, or attempts, that have ended.

    Attributes:
        total: All of them.
        faulty: Those with one of the codes of `FAULTS`.
        refused: Those that a limit refused.
    """

    total: int = 0
    faulty: int = 0
    refused: int = 0

    @classmethod
    def of(cls, total: int, errors: Mapping[str, int]) -> Counts:
        """
        The counts of a plugin or an instance.
        """
        faulty = sum(count for code, count in errors.items() if code in FAULTS)
        return cls(total, faulty, errors.get("RESOURCE_EXHAUSTED", 0))


@dataclass(frozen=True, slots=True)
class Lately:
    """
    By how much counts have grown in the last so many seconds.
    """

    seconds: float
    counts: Counts

    @property
    def rate(self) -> float:
        """
        How many a second.
        """
        return self.counts.total / self.seconds

    def share(self, part: int) -> float:
        """
        What share of all a part of them is.
        """
        return part / self.counts.total if self.counts.total else 0.0

    def document(self) -> dict[str, Any]:
        """
        The same for JSON.
        """
        total = self.counts.total
        well = 1 - self.share(self.counts.faulty + self.counts.refused) if total else None
        return {"seconds": self.seconds, "requests": total, "rate": self.rate, "success_rate": well}


class Recent:
    """
    The counts at the looks of the last minute, by what they are about.
    """

    def __init__(self) -> None:
        self._looks: deque[tuple[float, Mapping[object, Counts]]] = deque()

    def look(self, now: float, counts: Mapping[object, Counts]) -> dict[object, Lately]:
        """
        Compare with the oldest look of the last minute, and remember this one. When the clock was set back, the looks
        from before are forgotten.

        Returns:
            By how much each count has grown; nothing where there is no earlier look.
        """
        while self._looks and not 0 <= now - self._looks[0][0] <= _WINDOW:
            self._looks.popleft()
        found: dict[object, Lately] = {}
        if self._looks and now > self._looks[0][0]:
            then, before = self._looks[0]
            found = {key: Lately(now - then, _increase(before.get(key), each)) for key, each in counts.items()}
        if not self._looks or now - self._looks[-1][0] >= _STEP:
            self._looks.append((now, counts))
        return found


def _increase(before: Counts | None, now: Counts) -> Counts:
    if before is None or now.total < before.total:  # what is new, or was started anew, has counted from zero
        return now
    return Counts(now.total - before.total, now.faulty - before.faulty, now.refused - before.refused)
