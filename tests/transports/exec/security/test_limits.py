"""
What a program may take of the machine, and what it may gain.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import pytest

from remora.config import LimitsConfig, SecurityConfig
from remora.errors import PluginDied
from tests.transports.exec.security.pinned import answer

pytestmark = pytest.mark.anyio


LIMITS = LimitsConfig(memory=300 * 2**20, open_files=32, processes=20, cpu_seconds=1)


SETTLED = "import resource, time\nwhile resource.getrlimit(resource.RLIMIT_NOFILE)[0] != 32: time.sleep(0.001)\n"


async def run_limited(code: str) -> Any:
    security = SecurityConfig(limits=LIMITS)
    with anyio.fail_after(30):
        return await answer(sys.executable, security, args=("-c", SETTLED + code))


@pytest.mark.fault(20)
async def test_a_program_that_opens_too_many_files_meets_its_limit():
    """
    The host's own limit stays as it is.
    """
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    code = "import os\nn = 0\ntry:\n  while True: os.dup(0); n += 1\nexcept OSError as e: print(n)"

    assert await run_limited(code) < 32
    assert before == resource.getrlimit(resource.RLIMIT_NOFILE)


@pytest.mark.fault(20)
async def test_a_program_that_eats_memory_meets_its_limit():
    """
    It gets an error in place of the memory.
    """
    code = "try:\n  x = bytearray(400 * 2**20); print(1)\nexcept MemoryError: print(0)"

    assert await run_limited(code) == 0


@pytest.mark.fault(20)
async def test_a_program_that_computes_for_ever_is_ended():
    """
    By a signal that says why.
    """
    with pytest.raises(PluginDied, match="SIGXCPU"):
        await run_limited("while True: pass")


@pytest.mark.fault(20)
async def test_a_program_that_starts_processes_without_end_meets_its_limit():
    """
    The limit does not bind root, so root's child becomes a nobody first.
    """
    code = (
        "import os, sys\n"
        "if os.getuid() == 0: os.setgroups([]); os.setgid(64999); os.setuid(64999)\n"
        "pids = []\n"
        "try:\n"
        "  while len(pids) < 100:\n"
        "    pid = os.fork()\n"
        "    if pid == 0: os.read(0, 1) or os.pause() if hasattr(os, 'pause') else __import__('signal').pause()\n"
        "    pids.append(pid)\n"
        "except BlockingIOError: pass\n"
        "print(len(pids), flush=True)\n"
        "for pid in pids: os.kill(pid, 9); os.waitpid(pid, 0)\n"
    )

    assert await run_limited(code) < 20


@pytest.mark.parametrize("is_on", [True, False])
async def test_programs_gain_no_privileges_unless_configured(is_on):
    """
    The mark is on the child and not on the host.
    """
    code = "print([l.split()[1] for l in open('/proc/self/status') if 'NoNewPrivs' in l][0])"
    marked = await answer(sys.executable, SecurityConfig(no_new_privileges=is_on), args=("-c", code))
    (host,) = _marks()

    assert marked == (1 if is_on else int(host))


def _marks() -> set[str]:
    """
    Those of all threads of this process.
    """
    texts = [path.read_text() for path in Path("/proc/self/task").glob("*/status")]
    return {line.split()[1] for text in texts for line in text.splitlines() if "NoNewPrivs" in line}


async def test_core_dumps_are_off():
    """
    A core may hold secrets.
    """
    code = (
        "import resource, time\n"
        "for _ in range(2000):\n"
        "    if resource.getrlimit(resource.RLIMIT_CORE)[0] == 0: break\n"
        "    time.sleep(0.001)\n"
        "print(resource.getrlimit(resource.RLIMIT_CORE)[0])"
    )

    assert await answer(sys.executable, SecurityConfig(), args=("-c", code)) == 0
