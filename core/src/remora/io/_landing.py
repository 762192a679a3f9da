"""
Memory that bytes from connections arrive in.

One piece for all connections of a thread stays in the processor's cache, and no new memory is taken for each message.
"""

from __future__ import annotations

import threading

ROOM = 256 * 1024

_LARGEST = 8 * 1024 * 1024
_of_thread = threading.local()


def landing() -> memoryview:
    """
    Where what arrives in this thread is put. Whoever puts something there reads it before anybody else has a turn.
    """
    found: memoryview | None = getattr(_of_thread, "landing", None)
    if found is None:
        _keep_what_is_freed()
        found = _of_thread.landing = memoryview(bytearray(ROOM))
    return found


def _keep_what_is_freed() -> None:
    """
    Have what large messages leave behind used again.

    glibc returns what is freed at the end of the heap to the system from 128 KiB on, and takes it back for the next
    messages page by page, which can cost more than all else about them. Once something large has been freed, it keeps
    twice as much (mallopt(3), M_MMAP_THRESHOLD). Nothing is written to it, so it never exists.
    """
    bytes(_LARGEST)
