"""
The memory of large buffers is kept, or given back, as a benchmark has chosen.
"""

from __future__ import annotations

import resource
import socket

from benchmarks import memory

READS = 100
BUFFER = 256 * 1024


def page_faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt


def test_memory_that_is_given_back_is_taken_again_for_each_read() -> None:
    """
    As asyncio reads: into a new large buffer, of which little is used.
    """
    near, far = socket.socketpair()
    with near, far:

        def faults() -> int:
            before = page_faults()
            for _ in range(READS):
                far.send(b"x")
                near.recv(BUFFER)
            return page_faults() - before

        memory.keep()
        faults()
        assert faults() < READS / 4
        with memory.given_back():
            assert faults() >= READS
        faults()
        assert faults() < READS / 4
