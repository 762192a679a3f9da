"""
Whether what a program passes as a number is one.
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
