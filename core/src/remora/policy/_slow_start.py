"""
How much of its traffic an instance gets while it warms up.

Theory of operation: from `minimum` at the start, the factor on an instance's weight grows with its age and reaches 1 at
the end of the window. So caches fill and code is loaded under a load that the instance can bear.

No locks: the event loop serialises, because no method awaits. Source: Envoy's slow start mode.
"""

from __future__ import annotations

from remora._frozen import dataclass
from remora.values import Duration, Positive, Share, check_limits


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowStartConfig:
    """
    How an instance is warmed up.

    Attributes:
        enabled: Whether it is at all.
        window: Seconds after which it gets its full share of the traffic.
        minimum: The fraction of its full share that it gets at first, from 0 to 1.
        aggression: 1 for steady growth, more for growth that is faster at first.
    """

    enabled: bool = True
    window: Duration = 10.0
    minimum: Share = 0.1
    aggression: Positive = 1.0

    def __post_init__(self) -> None:
        check_limits(self)


class SlowStart:
    """
    The factor on the weight of an instance, depending on its age.
    """

    def __init__(self, config: SlowStartConfig) -> None:
        self._window = config.window if config.enabled else 0.0
        self._minimum = config.minimum
        self._exponent = 1.0 / config.aggression

    def factor(self, age: float) -> float:
        """
        A number from `minimum` to 1, for an instance that has been ready for `age` seconds.
        """
        if age >= self._window:
            return 1.0
        grown: float = age / self._window if age > 0.0 else 0.0
        if self._exponent != 1.0:
            grown **= self._exponent
        return grown if grown > self._minimum else self._minimum
