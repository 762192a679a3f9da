"""
Where the answer is likely to come first.

Theory of operation: of each candidate a moving average of its latency is kept. A longer one is believed at once, a
shorter one bit by bit, and what is old fades, so that one that was slow is tried again. The expected wait is that
average for each of the calls under way and the new one, for its share. A failure counts as an answer that took very
long: failing fast must not attract calls. One that has not answered yet is tried, with one call at a time. A call that
was given up would have taken at least as long as it did, which counts where it is longer than expected: one that hangs
must not get all calls of those who lose patience.

Up to four candidates are compared all; of more, two are drawn and compared. Equals take turns.

Sources: Finagle's Peak EWMA; Linkerd's penalty for failures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from remora.policy import Turns
from remora.protocols import Candidate
from remora_balancers._draw import draw_few
from remora_balancers._share import eligible, share

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

C = TypeVar("C", bound=Candidate)

DECAY = 10.0
"""Seconds in which the weight of an observation falls to a third."""

PENALTY = 5.0
"""The seconds for which a failure counts at least."""


@dataclass(slots=True)
class _Average:
    value: float
    stamp: float
    is_known: bool = True  # there was an answer, and not only calls that were given up

    def at(self, now: float) -> float:
        return self.value * math.exp((self.stamp - now) / DECAY)


class LeastLatency:
    """
    The candidate with the shortest expected wait.
    """

    def __init__(self, clock: Callable[[], float], rng: random.Random) -> None:
        self._clock = clock
        self._rng = rng
        self._turns = Turns(share)
        self._averages: dict[str, _Average] = {}

    def pick(self, candidates: Sequence[C], key: str, /) -> C:
        """
        The one that is likely to answer first, of all or of two.
        """
        compared = draw_few(eligible(candidates), self._rng)
        return self._turns.take(min(compared, key=self._rank))

    def started(self, candidate: Candidate, /) -> None:
        """
        The calls under way are the candidate's own to count.
        """

    def finished(self, candidate: Candidate, /, *, latency: float, ok: bool | None) -> None:
        """
        Learn from how long a call took, or from how long one was waited for.
        """
        now = self._clock()
        average = self._averages.get(candidate.name)
        if ok is None:
            if latency > (0.0 if average is None else average.at(now)):
                is_known = average is not None and average.is_known
                self._averages[candidate.name] = _Average(latency, now, is_known)
            return
        seconds = latency if ok else max(latency, PENALTY)
        if average is None or not average.is_known:
            self._averages[candidate.name] = _Average(seconds, now)
            return
        kept = math.exp((average.stamp - now) / DECAY)
        average.value = max(seconds, average.value * kept + seconds * (1 - kept))
        average.stamp = now

    def forget(self, name: str, /) -> None:
        """
        Forget its latency.
        """
        self._averages.pop(name, None)
        self._turns.forget(name)

    def _rank(self, candidate: Candidate) -> tuple[float, float]:
        return self._latency(candidate) * (candidate.in_flight + 1) / share(candidate), self._turns.place(candidate)

    def _latency(self, candidate: Candidate) -> float:
        average = self._averages.get(candidate.name)
        if candidate.in_flight and (average is None or not average.is_known):
            return PENALTY
        return 0.0 if average is None else average.at(self._clock())
