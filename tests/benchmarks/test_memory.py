"""
The memory of large buffers is kept, or given back, as a benchmark has chosen.
"""

from __future__ import annotations

import subprocess
import sys

from tests.architecture.sources import ROOT

READS = 100

_PROGRAM = f"""
import resource, socket
from benchmarks import memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range({READS}):
        far.send(b"x")
        near.recv(256 * 1024)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

near, far = socket.socketpair()
memory.keep()
faults()
print(faults())
with memory.given_back():
    print(faults())
faults()
print(faults())
"""


def test_memory_that_is_given_back_is_taken_again_for_each_read() -> None:
    """
    As asyncio reads: into a new large buffer, of which little is used. In a process of its own, as contenders have,
    since a large block that is free between others is used again in any case.
    """
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    kept, given_back, kept_again = map(int, done.stdout.split())

    assert kept < READS / 4
    assert given_back >= READS
    assert kept_again < READS / 4
