"""
Whether the C library keeps the memory of large blocks that were freed, or gives it back to the system.

asyncio reads into a new buffer of 256 KiB each time. glibc takes each from the system and gives it back, which costs
six times as much as the read itself, until the process has freed a larger block for the first time; from then on it
mostly keeps them (mallopt(3), M_MMAP_THRESHOLD). When that happens, or whether, is chance in most programs, but not
where costs are compared.
"""

from __future__ import annotations

import ctypes
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_AT_FIRST = 128 * 1024
_LARGE = 16 * 1024 * 1024


def keep() -> None:
    """
    Keep it, as every process does in which Remora has read something (see `remora.io._landing`).
    """
    _set(_LARGE)


@contextmanager
def given_back() -> Iterator[None]:
    """
    Give it back, as a process does that has just been started.
    """
    _set(_AT_FIRST)
    try:
        yield
    finally:
        keep()


def _set(threshold: int) -> None:
    if (choose := getattr(ctypes.CDLL(None), "mallopt", None)) is not None:
        choose(_MMAP_THRESHOLD, threshold)
        choose(_TRIM_THRESHOLD, threshold)
