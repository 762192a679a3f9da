"""
The kinds of values that configuration keys take, with their limits; the limits are part of the type.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import Annotated

_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_LARGEST = sys.float_info.max
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True, slots=True)
class Limits:
    """
    The range of a number; a duration may also be written as text.
    """

    minimum: float
    is_exclusive: bool = False
    is_duration: bool = False

    def __str__(self) -> str:
        least = f"{'more than' if self.is_exclusive else 'at least'} {self.minimum:g}"
        return f'a duration of {least} s, such as 30, "100ms", "1m30s"' if self.is_duration else f"a number of {least}"

    def allow(self, number: float) -> bool:
        """
        Whether a number is in the range.
        """
        return (self.minimum < number if self.is_exclusive else self.minimum <= number) and number <= _LARGEST


Duration = Annotated[float, Limits(0, is_exclusive=True, is_duration=True)]
"""Seconds, more than 0."""

Count = Annotated[int, Limits(1)]
"""A whole number, at least 1."""


def parse_duration(text: str) -> float:
    """
    The seconds in a text such as "100ms", "30s" or "1m30s".

    Raises:
        ValueError: It is no such text.
    """
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration")
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)
