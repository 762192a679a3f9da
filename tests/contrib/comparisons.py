"""
How often something is compared in a time that says nothing.
"""

from __future__ import annotations

import hmac
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def counted() -> Iterator[list[int]]:
    """
    How often `hmac.compare_digest` was called, once the context is left.
    """
    calls: list[object] = []
    found: list[int] = []

    def watch(frame: FrameType, event: str, argument: object) -> None:
        if event == "c_call" and argument is hmac.compare_digest:
            calls.append(frame.f_code.co_name)

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield found
    finally:
        sys.setprofile(before)
    found.append(len(calls))
