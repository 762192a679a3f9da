"""
Whether what a program passes as a number is one, and what an event loop can make of it.
"""

from __future__ import annotations

import math
from typing import TypeGuard


def is_number(value: object) -> TypeGuard[float]:
    """
    Whether a value can be compared with numbers; texts cannot, and NaN neither.
    """
    try:
        return not math.isnan(value)  # type: ignore[arg-type]  # also those of numpy
    except OverflowError:  # a whole number that is larger than any float
        return True
    except TypeError:
        return False


def is_whole(value: object) -> TypeGuard[int]:
    """
    Whether a value is a whole number, as a file has it: neither 3.0 nor True.
    """
    return isinstance(value, int) and not isinstance(value, bool)


def seconds(number: float) -> float:
    """
    A number of seconds as an event loop takes it: whole numbers that are larger than any float are infinite.
    """
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf
