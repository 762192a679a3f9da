"""
How many calls an instance can handle at once, learned from how long they take.

Theory of operation: when calls queue inside the instance, they take longer than before. The limit follows the ratio of
the long-term duration to the present one, with some tolerance, and grows by its own square root, at most 4, while
there is no queueing. It does not grow while less than half of it is used, since then nothing is learned. A call that
the instance dropped (too slow, or refused) shrinks it by a tenth at once.

No locks: the event loop serialises, because no method awaits. Source: Netflix's Gradient2Limit. Different here, for
plugins that are a single process: the limit may fall to 1 and starts at 4, the room to grow is not a fixed 4 (which
would keep a limit of 1 out of reach), and drops count.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from remora._frozen import dataclass
from remora.values import Count, Limits, Share, check_limits

if TYPE_CHECKING:
    from collections.abc import Callable

Tolerance = Annotated[float, Limits(1)]


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientConfig:
    """
    Whether and how the limit of concurrent calls adapts.

    Attributes:
        enabled: Whether it adapts.
        minimum: The lowest limit.
        initial: The first limit.
        maximum: The highest limit.
        tolerance: How many times as long as usual a call may take before the limit shrinks.
        smoothing: The weight of each new estimate in the limit.
        samples: The calls over which the long-term duration is averaged.
    """

    enabled: bool = False
    minimum: Count = 1
    initial: Count = 4
    maximum: Count = 200
    tolerance: Tolerance = 1.5
    smoothing: Share = 0.2
    samples: Count = 600

    def __post_init__(self) -> None:
        check_limits(self)
        if not self.minimum <= self.initial <= self.maximum:
            allowed = f"minimum, {self.minimum}, to maximum, {self.maximum}"
            raise ValueError(f"initial: expected a number from {allowed}, got {self.initial}")


_WARMUP = 10
_DROPPED = 0.9


class Gradient:
    """
    The limit of concurrent calls of one instance.
    """

    def __init__(self, config: GradientConfig) -> None:
        self._config = config
        self._limit = float(config.initial)
        self._usual = 0.0
        self._seen = 0

    @property
    def limit(self) -> int:
        """
        How many calls may be under way at once.
        """
        return int(self._limit)

    def finished(self, duration: float, in_flight: int) -> int:
        """
        A call that was one of `in_flight` has ended after `duration` seconds. Returns the new limit.
        """
        usual = self._learn(duration)
        if in_flight < self._limit / 2:
            return self.limit
        gradient = min(1.0, self._config.tolerance * usual / duration) if duration > 0 else 1.0
        estimate = self._limit * max(0.5, gradient) + min(4.0, math.sqrt(self._limit))
        return self._set(lambda limit, part: limit * (1 - part) + estimate * part)

    def dropped(self) -> int:
        """
        A call was refused or took too long. Returns the new limit.
        """
        return self._set(lambda limit, _: limit * _DROPPED)

    def _learn(self, duration: float) -> float:
        """
        The usual duration in seconds: the mean at first, then a moving average, which falls fast when far too high.
        """
        self._seen += 1
        part = 1 / self._seen if self._seen <= _WARMUP else 2 / (self._config.samples + 1)
        self._usual += (duration - self._usual) * part
        usual = self._usual
        if usual > 2 * duration:
            self._usual *= 0.95
        return usual

    def _set(self, step: Callable[[float, float], float]) -> int:
        limit = step(self._limit, self._config.smoothing)
        self._limit = max(float(self._config.minimum), min(float(self._config.maximum), limit))
        return self.limit
