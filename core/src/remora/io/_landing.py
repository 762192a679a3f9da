"""
The memory into which bytes from connections are read.

One buffer serves all connections of a thread, so that no memory is allocated per message. How much of it is used by a
read is the reader's choice. While messages are large, reading many of them at once is cheaper than the cache that it
costs: code and tables that handle them are then loaded into the processor's caches once for all of them. Of small ones,
a callback would handle thousands before the event loop goes on.
"""

from __future__ import annotations

import threading

from remora.wire import LARGE

ROOM = 256 * 1024
"""The most bytes that are read at once."""

ROOM_FOR_LARGE = 2 * 1024 * 1024
"""The same, while messages are large."""

_LARGEST = 8 * 1024 * 1024
_of_thread = threading.local()


def landing(room: int = ROOM) -> memoryview:
    """
    The buffer of this thread, up to `room`. What is read into it must be used before control returns to the event loop.
    """
    found: memoryview | None = getattr(_of_thread, "landing", None)
    if found is None:
        _keep_what_is_freed()
        found = _of_thread.landing = memoryview(bytearray(ROOM_FOR_LARGE))
    return found[:room]


def next_room(size: int, messages: int) -> int:
    """
    How many bytes to read at most the next time, after `messages` messages were completed by `size` bytes.
    """
    return ROOM_FOR_LARGE if size >= messages * LARGE else ROOM


def _keep_what_is_freed() -> None:
    """
    Have the memory of large messages reused.

    glibc returns freed memory at the end of the heap to the system from 128 KiB on, and takes it back for the next
    messages page by page, which can cost more than everything else about them. Once a large block has been freed, it
    keeps twice as much (mallopt(3), M_MMAP_THRESHOLD). The block is never written to, so it uses no real memory.
    """
    bytes(_LARGEST)
