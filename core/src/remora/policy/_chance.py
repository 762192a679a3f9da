"""
A random source in few bytes.

Theory of operation: every part that draws random numbers has a source of its own, so that its numbers do not depend on
what others draw in between. A `random.Random` would do, but takes 2.5 KiB, and a host with a thousand plugins has
thousands of such parts; a `Dice` is a single number, mixed anew for each draw.

Source: SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").
"""

from __future__ import annotations

from typing import Protocol, final

_STEP = 0x9E3779B97F4A7C15
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_BITS = (1 << 64) - 1


class Chance(Protocol):
    """
    What policies need of a random source; `random.Random` provides it.
    """

    def uniform(self, low: float, high: float, /) -> float:
        """
        A random number between `low` and `high`, uniformly distributed.
        """
        ...


@final
class Dice:
    """
    A random source that draws the same numbers from the same seed.
    """

    __slots__ = ("_state",)

    def __init__(self, seed: int) -> None:
        self._state = seed & _BITS

    def uniform(self, low: float, high: float, /) -> float:
        """
        A random number between `low` and `high`, uniformly distributed.
        """
        return low + (high - low) * ((self._bits() >> 11) / (1 << 53))

    def _bits(self) -> int:
        """
        The next 64 random bits.
        """
        self._state = bits = (self._state + _STEP) & _BITS
        bits = (bits ^ bits >> 30) * _FIRST & _BITS
        bits = (bits ^ bits >> 27) * _SECOND & _BITS
        return bits ^ bits >> 31
