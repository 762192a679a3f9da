"""
The kinds of values that configuration keys take, with their limits; the limits are part of the type.

What lives here: types, limits, the check of a record against them, and the decorator for records of options. What must
not: files, paths of keys.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from typing import Annotated, Any, get_type_hints

from remora._frozen import dataclass
from remora._numbers import is_number, is_whole

__all__ = [
    "Count",
    "Duration",
    "Grace",
    "Limits",
    "Number",
    "Port",
    "Positive",
    "Share",
    "check_limits",
    "dataclass",
    "parse_duration",
]

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
    maximum: float | None = None
    is_whole: bool = False

    def __str__(self) -> str:
        least = f"{'more than' if self.is_exclusive else 'at least'} {self.minimum:g}"
        if self.is_duration:
            return f'a duration of {least} s, such as 30, "100ms", "1m30s"'
        kind = "a whole number" if self.is_whole else "a number"
        return f"{kind} of {least}" + ("" if self.maximum is None else f" and at most {self.maximum:g}")

    def allow(self, number: float) -> bool:
        """
        Whether a number is in the range.
        """
        if number > (_LARGEST if self.maximum is None else self.maximum):
            return False
        return self.minimum < number if self.is_exclusive else self.minimum <= number


Duration = Annotated[float, Limits(0, is_exclusive=True, is_duration=True)]
"""Seconds, more than 0."""

Grace = Annotated[float, Limits(0, is_duration=True)]
"""Seconds, at least 0."""

Count = Annotated[int, Limits(1, is_whole=True)]
"""A whole number, at least 1."""

Number = Annotated[int, Limits(0, is_whole=True)]
"""A whole number, at least 0."""

Port = Annotated[int, Limits(1, maximum=65535, is_whole=True)]
"""The number of a TCP port."""

Positive = Annotated[float, Limits(0, is_exclusive=True)]
"""A number, more than 0."""

Share = Annotated[float, Limits(0, is_exclusive=True, maximum=1)]
"""A part of a whole, more than 0 and at most 1."""


def check_limits(record: object) -> None:
    """
    Check the fields of a record that was built in code; what is read from a file is checked where it is read.

    Raises:
        ValueError: A value is outside its limits; the message names the field and the range.
    """
    kind: Any = type(record)
    for name, limits, is_optional in _limited(kind):
        value = getattr(record, name)
        if not (value is None and is_optional):
            check_number(name, value, limits)


def check_number(name: str, value: object, limits: Limits) -> None:
    """
    Check a number that was given in code.

    Raises:
        ValueError: It is none, or outside the limits; the message names the field and the range.
    """
    if limits.is_whole and not is_whole(value):
        raise ValueError(f"{name}: expected {limits}, got {value!r:.40}")
    if not isinstance(value, float) and not is_number(value):  # only a file may say "5s"
        raise ValueError(f"{name}: expected a number{' of seconds' * limits.is_duration}, got {value!r:.40}")
    if not limits.allow(value):
        raise ValueError(f"{name}: expected {limits}, got {value!r}")


def parse_duration(text: str) -> float:
    """
    The seconds in a text such as "100ms", "30s" or "1m30s".

    Raises:
        ValueError: It is no such text, or longer than a number can say.
    """
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration")
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if seconds > _LARGEST:
        raise ValueError(f"{text[:40]!r} is longer than any number of seconds")
    return seconds


@cache
def _limited(record: type) -> tuple[tuple[str, Limits, bool], ...]:
    """
    The fields that have limits, and whether these hold only unless the value is None.
    """
    hints = get_type_hints(record, include_extras=True)
    return tuple(
        (name, limits, type(None) in _parts_of(hint)) for name, hint in hints.items() for limits in _limits_of(hint)
    )


def _parts_of(hint: object) -> tuple[object, ...]:
    return getattr(hint, "__args__", ())


def _limits_of(hint: object) -> list[Limits]:
    parts = [hint, *_parts_of(hint)]
    return [each for part in parts for each in getattr(part, "__metadata__", ()) if isinstance(each, Limits)]
