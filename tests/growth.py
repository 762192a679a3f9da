"""
How the time that something takes grows with the size of what somebody else has made up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def grows_with_size_only(act: Callable[[T], object], make: Callable[[int], T], size: int) -> bool:
    """
    Whether four times as much takes no more than nine times as long, where sixteen times would be quadratic.

    Args:
        act: What takes the time; that of the processor is counted.
        make: Makes something of a size.
        size: The larger of the two sizes; a quadratic time must be seconds there.
    """
    return _seconds(act, make(size)) < 9 * _seconds(act, make(size // 4)) + 0.5


def _seconds(act: Callable[[T], object], thing: T) -> float:
    begin = time.process_time()
    act(thing)
    return time.process_time() - begin
