"""
Nothing is left: not after many starts, and not after the host itself was killed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
import pytest

from remora.errors import PluginDied, Unavailable, WrongProtocol

pytestmark = pytest.mark.anyio

HERE = Path(__file__).parent


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.fault(17, 62)
@pytest.mark.long
async def test_300_starts_and_kills_leave_nothing(open_script, script, ask, children):
    endpoint = script("read -r line; kill -9 $$")

    async def cycle(number: int) -> None:
        async with open_script(endpoint, protocol="jsonl") as channel:
            if number % 2:
                with pytest.raises(PluginDied, match="SIGKILL"):
                    await ask(channel, "m")

    await cycle(0)
    before = descriptors(), sorted(children()), len(anyio.get_running_tasks())
    for number in range(10):  # each with a keeper of its own
        await cycle(number)
    async with open_script(script("cat"), protocol="oneshot"):  # and with one for all
        for number in range(290):
            await cycle(number)

    assert before == (descriptors(), sorted(children()), len(anyio.get_running_tasks()))


@pytest.mark.fault(17)
async def test_starts_and_kills_of_a_python_plugin_leave_nothing(open_child, ask, children):
    async with open_child():
        pass
    before = descriptors(), sorted(children())

    for cycle in range(10):
        async with open_child() as channel:
            if cycle % 2:
                os.kill(await ask(channel, "pid"), 9)
                assert isinstance(await channel.wait_closed(), PluginDied)

    assert before == (descriptors(), sorted(children()))


@pytest.mark.fault(21, 62)
async def test_failed_starts_leave_nothing(open_script, script, children):
    before = descriptors(), sorted(children())

    for body in ["exit 1", "exec sleep 600", "exec yes"] * 3:
        with pytest.raises((Unavailable, WrongProtocol)):
            async with open_script(script(body), connection_timeout=0.05):
                pass

    assert before == (descriptors(), sorted(children()))


@pytest.mark.fault(15)
@pytest.mark.parametrize(
    ("protocol", "stubborn", "way"),
    [("ttrpc", False, "keeper"), ("jsonl", False, "groups"), ("jsonl", True, "keeper"), ("jsonl", True, "groups")],
)
@pytest.mark.long
async def test_a_killed_host_leaves_no_child(anyio_backend, group_members, until, script, protocol, stubborn, way):
    if stubborn:
        endpoint = script(
            "trap '' TERM HUP INT PIPE; read -r line; echo '{\"id\":1,\"result\":'$$'}'; sleep 600; sleep 600"
        )
        argv = [endpoint.url, protocol]
    else:
        argv = [f"exec:{sys.executable}", protocol, str(HERE / "child.py")]
    host = await anyio.open_process([sys.executable, str(HERE / "host.py"), anyio_backend, way, *argv], stderr=None)
    assert host.stdout is not None
    try:
        with anyio.fail_after(20):
            group = int(await host.stdout.receive())
        await until(lambda: len(group_members(group)) == 2)
    finally:
        host.kill()
        await host.wait()

    await until(lambda: group_members(group) == [])
    await host.aclose()
