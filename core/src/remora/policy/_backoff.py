"""
How long to wait before the next attempt.

Theory of operation: the ceiling of the wait grows by a factor with each attempt, up to a maximum; the wait itself is
drawn uniformly between 0 and the ceiling ("full jitter"), so that callers who failed together do not return together.

No locks: the event loop serialises, because no method awaits. Source: the AWS architecture blog, "Exponential Backoff
And Jitter".
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remora.policy._chance import Chance


class Backoff:
    """
    Waits between attempts that grow exponentially.
    """

    __slots__ = ("_initial", "_is_jittered", "_maximum", "_multiplier", "_rng", "_steps")

    def __init__(self, *, initial: float, maximum: float, multiplier: float, is_jittered: bool, rng: Chance) -> None:
        self._initial = initial
        self._maximum = maximum
        self._multiplier = multiplier
        self._is_jittered = is_jittered
        self._rng = rng
        growth = math.log(multiplier)
        self._steps = (math.log(maximum) - math.log(initial)) / growth if growth > 0 else math.inf

    def delay(self, attempt: int) -> float:
        """
        The seconds to wait after `attempt` attempts (at least 1).
        """
        ceiling = self.ceiling(attempt)
        return self._rng.uniform(0.0, ceiling) if self._is_jittered else ceiling

    def ceiling(self, attempt: int) -> float:
        """
        The longest wait after `attempt` attempts, in seconds. No number of attempts is too large.
        """
        if attempt - 1 >= self._steps:
            return self._maximum
        return min(self._maximum, self._initial * self._multiplier ** (attempt - 1))
