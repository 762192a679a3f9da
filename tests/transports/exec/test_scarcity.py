"""
A host that is short of something, or odd: its descriptors are used up, its limits change, it forks, /proc is missing.
"""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import anyio
import pytest

from remora.config import SecurityConfig
from remora.errors import Unavailable
from remora.types import Call
from remora_exec._keeping import _keeper, _starter

pytestmark = [pytest.mark.anyio, pytest.mark.skipif(not _starter.KEEPS_DESCENDANTS, reason="needs Linux and ctypes")]

Limit = Callable[[int], None]
HOST = """
import os, sys, anyio
from remora.types import Call, Endpoint
from remora_exec._keeping import _keeper, _starter
from remora_exec.plugin import ExecOptions, build

async def main():
    async with build(ExecOptions(protocol="oneshot")).open(Endpoint(sys.argv[2])) as channel:
        print((await channel.call(Call(payload=b'"fine"'))).payload.decode(), _starter.KEEPS_DESCENDANTS, flush=True)

def forked():
    _keeper._starting[None].acquire()  # as another thread may have done
    if child := os.fork():
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

if sys.argv[3:] == ["forked"]:
    forked()
anyio.run(main, backend=sys.argv[1])
"""


@pytest.fixture
def limit() -> Iterator[Limit]:
    """
    Sets how many descriptors this process may have.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        yield lambda number: resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def descriptors() -> list[int]:
    return sorted(map(int, os.listdir("/proc/self/fd")))


@contextmanager
def few_left(limit: Limit, free: int) -> Iterator[None]:
    """
    Only so many descriptors are free inside.
    """
    before, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit(descriptors()[-1] + 32)
    held: list[int] = []
    try:
        while len(held) < 1000:
            held.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        while free and held:
            os.close(held.pop())
            free -= 1
    try:
        yield
    finally:
        limit(before)
        for each in held:
            os.close(each)


@pytest.mark.fault(17, 62)
@pytest.mark.parametrize("protocol", ["oneshot", "jsonl", "ttrpc"])
async def test_used_up_descriptors_make_a_plugin_unavailable_and_none_is_lost(open_script, script, limit, protocol):
    """
    Wherever on the way they run out; nothing was sent then.
    """
    endpoint = script("exec cat" if protocol == "oneshot" else "exec sleep 600")
    options = {"protocol": protocol, "connection_timeout": 0.05, "stop_grace": 0.0, "term_grace": 0.0}
    refused = []

    async def attempt() -> None:
        async with open_script(endpoint, **options) as channel:
            if protocol == "oneshot":
                await channel.call(Call(payload=b"1"))

    with pytest.raises(Unavailable) if protocol == "ttrpc" else nullcontext():
        await attempt()
    before = descriptors()
    for free in range(14):
        with few_left(limit, free):
            try:
                await attempt()
            except Unavailable as error:
                refused.append((free, error.sent))
        assert before == descriptors()

    assert [(free, False) for free in range(7)] == refused[:7]


@pytest.mark.fault(62)
async def test_a_program_that_cannot_be_examined_for_want_of_descriptors_is_not_refused(open_script, script, limit):
    """
    That it may not be started would be told as final, and it may.
    """
    endpoint = script("exec cat")
    security = SecurityConfig(policy="audit-only", audit_log=f"{endpoint.address}.log")
    async with open_script(endpoint, protocol="oneshot", security=security) as channel:
        with few_left(limit, 4), pytest.raises(Unavailable, match="cannot be examined now: Too many open files"):
            await channel.call(Call(payload=b"1"))

        assert (await channel.call(Call(payload=b"1"))).payload == b"1"


async def test_a_program_has_the_limits_that_its_host_has_by_then(open_script, script, ask, limit):
    """
    Also when the keeper was started under others.
    """
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit(most - 100)
    async with open_script(script("cat > /dev/null; ulimit -n"), protocol="oneshot") as channel:
        before = await ask(channel, "m")
        limit(most)
        after = await ask(channel, "m")

    assert (most - 100, most) == (before, after)


@pytest.mark.fault(14)
async def test_a_start_that_is_cancelled_within_its_order_is_over_at_once(open_script, script):
    """
    The keeper stands still, so that a large order is sent in part only when the call is cancelled.
    """
    big = {f"V{number}": "x" * 100_000 for number in range(8)}
    async with open_script(script("exec cat"), protocol="oneshot", env=big) as channel:
        keeper = _keeper._keepers[-1].popen.pid
        os.kill(keeper, signal.SIGSTOP)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(channel.call, Call(payload=b"1"))
            await anyio.wait_all_tasks_blocked()
            started = anyio.current_time()
            tasks.cancel_scope.cancel()
            os.kill(keeper, signal.SIGCONT)
        took = anyio.current_time() - started

        assert took < 1
        assert keeper == _keeper._keepers[-1].popen.pid


@pytest.mark.fault(14)
async def test_who_is_late_to_see_that_the_keeper_is_lost_does_not_take_the_next_one_for_it(open_script, script, until):
    async with open_script(script("exec cat"), protocol="oneshot") as channel:
        old = _keeper._keepers[-1]
        os.kill(old.popen.pid, signal.SIGSTOP)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(channel.call, Call(payload=b"1"))
            await anyio.wait_all_tasks_blocked()
            old.is_lost = True  # as another start has found
            tasks.start_soon(channel.call, Call(payload=b"1"))
            await until(lambda: _keeper._keepers[-1] is not old)
            new = _keeper._keepers[-1]
            os.kill(old.popen.pid, signal.SIGKILL)

        assert (False, 1) == (new.is_lost, new.users)


def run_host(anyio_backend: str, url: str, *args: str, front: tuple[str, ...] = ()) -> str:
    command = [*front, sys.executable, "-c", HOST, anyio_backend, url, *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    return done.stdout + done.stderr


def test_a_copy_of_a_host_starts_programs_too(anyio_backend, script):
    """
    Even when another thread was starting a keeper at the moment of the fork.
    """
    assert run_host(anyio_backend, script("exec cat").url, "forked") == '"fine" True\n'


def test_without_proc_descendants_are_not_said_to_be_kept(anyio_backend, script):
    """
    They could not be found; programs are started all the same.
    """
    if shutil.which("bwrap") is None:
        pytest.skip("needs the program bwrap (bubblewrap)")
    front = ("bwrap", "--bind", "/", "/", "--dev-bind", "/dev", "/dev", "--tmpfs", "/proc")

    assert run_host(anyio_backend, script("exec cat").url, front=front) == '"fine" False\n'
