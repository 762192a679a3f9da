"""
The memory into which bytes from connections are read.

One buffer for all connections of a thread stays in the processor's cache, and no memory is allocated per message.
"""

from __future__ import annotations

import threading

ROOM = 256 * 1024

_LARGEST = 8 * 1024 * 1024
_of_thread = threading.local()


def landing() -> memoryview:
    """
    The buffer of this thread. What is read into it must be used before control returns to the event loop.
    """
    found: memoryview | None = getattr(_of_thread, "landing", None)
    if found is None:
        _keep_what_is_freed()
        found = _of_thread.landing = memoryview(bytearray(ROOM))
    return found


def _keep_what_is_freed() -> None:
    """
    Have the memory of large messages reused.

    glibc returns freed memory at the end of the heap to the system from 128 KiB on, and takes it back for the next
    messages page by page, which can cost more than everything else about them. Once a large block has been freed, it
    keeps twice as much (mallopt(3), M_MMAP_THRESHOLD). The block is never written to, so it uses no real memory.
    """
    bytes(_LARGEST)
