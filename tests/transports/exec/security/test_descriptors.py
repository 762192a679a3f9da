"""
What a program inherits: variables and descriptors.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from remora import Manager
from remora.config import SecurityConfig
from remora.errors import ConfigError
from remora.types import Call, Endpoint
from remora_exec.plugin import ExecOptions, build
from tests.transports.exec.security.pinned import answer, pins

pytestmark = pytest.mark.anyio

PYTHON = Path(sys.executable).resolve()


@pytest.mark.fault(72)
async def test_no_variable_of_the_host_reaches_a_confined_program(place, program, monkeypatch):
    """
    Whatever the policy.
    """
    monkeypatch.setenv("CANARY", "secret")
    path = program("${CANARY-absent}")
    security = SecurityConfig(policy="strict", allow_list=pins(place / "list.toml", path))

    assert await answer(path, security) == "absent"


DESCRIPTORS = "import json,os,stat,sys\nfound = {}\n" + (
    "for name in os.listdir('/proc/self/fd'):\n"
    "    try: found[name] = os.readlink('/proc/self/fd/' + name)\n"
    "    except OSError: pass\n"
    "json.dump(found, sys.stdout)\n"
)


@pytest.mark.fault(73)
async def test_a_program_gets_three_descriptors(place):
    """
    And a pinned one a fourth: itself, to read.
    """
    held = os.open(place, os.O_RDONLY)
    os.set_inheritable(held, True)
    try:
        plain = await answer(sys.executable, SecurityConfig(), args=("-c", DESCRIPTORS))
        security = SecurityConfig(policy="strict", allow_list=pins(place / "list.toml", PYTHON))
        pinned = await answer(sys.executable, security, args=("-c", DESCRIPTORS))
    finally:
        os.close(held)

    assert {"0", "1", "2"} == plain.keys()
    assert {"0", "1", "2"} < pinned.keys()
    assert [str(PYTHON)] == [file for name, file in pinned.items() if name not in {"0", "1", "2"}]


@pytest.fixture
def held(place: Path) -> Iterator[list[int]]:
    """
    Two open descriptors that children could inherit.
    """
    found = [os.open(place, os.O_RDONLY) for _ in range(2)]
    for number in found:
        os.set_inheritable(number, True)
    yield found
    for number in found:
        os.close(number)


@pytest.mark.fault(73)
async def test_a_program_gets_the_descriptors_that_are_named_and_no_others(place, held):
    """
    Under their numbers, whatever the other measures are.
    """
    plain = await answer(sys.executable, SecurityConfig(), args=("-c", DESCRIPTORS), pass_fds=(held[1],))
    security = SecurityConfig(policy="strict", allow_list=pins(place / "list.toml", PYTHON))
    pinned = await answer(sys.executable, security, args=("-c", DESCRIPTORS), pass_fds=(held[1],))

    assert {"0", "1", "2", str(held[1])} == plain.keys()
    assert str(place) == plain[str(held[1])] == pinned[str(held[1])]
    assert [str(PYTHON)] == [file for name, file in pinned.items() if name not in plain]
    assert str(held[0]) not in pinned


@pytest.mark.fault(73)
@pytest.mark.usefixtures("bubblewrap")
async def test_the_sandbox_lets_named_descriptors_through(place, held):
    """
    And no others.
    """
    path = place / "program"
    path.write_text("#!/bin/sh\ncat > /dev/null; printf '\"'; ls -m /proc/$$/fd | tr -d '\\n'; printf '\"'\n")
    path.chmod(0o755)
    seen = await answer(path, SecurityConfig(sandbox="bwrap"), pass_fds=(held[1],))

    assert (True, False) == (str(held[1]) in seen.split(", "), str(held[0]) in seen.split(", "))


async def test_a_descriptor_that_is_not_open_is_one_clear_error(held):
    """
    Before the start, and at calls that start a program of their own: its number may belong to something else by then.
    """
    copy = os.dup(held[0])
    transport = build(ExecOptions(name="p", protocol="oneshot", args=("-c", "print(1)"), pass_fds=(copy,)))
    async with transport.open(Endpoint(f"exec:{sys.executable}")) as channel:
        os.close(copy)
        with pytest.raises(ConfigError, match=rf"the descriptor {copy} is not open in this process"):
            await channel.call(Call(payload=b"null"))
    with pytest.raises(ConfigError, match=rf"the descriptor {copy} is not open in this process \(pass_fds\)"):
        await answer(sys.executable, SecurityConfig(), pass_fds=(copy,))


async def test_the_standard_streams_are_not_for_sharing():
    """
    The configuration is refused.
    """
    plugin = {"endpoint": "exec:sh", "options": {"pass_fds": [4, 2]}}
    with pytest.raises(ConfigError, match=r"options\.pass_fds\S*: expected a whole number of at least 3, got 2"):
        Manager({"plugins": {"p": plugin}})


async def test_named_descriptors_follow_a_reload(held):
    """
    By new instances.
    """
    plugin = {"endpoint": f"exec:{sys.executable}", "protocol": "oneshot", "args": ["-c", DESCRIPTORS]}
    named = {"plugins": {"p": {**plugin, "options": {"pass_fds": held}}}}
    async with Manager({"plugins": {"p": plugin}}) as manager:
        before = await manager.execute("p", None, dict[str, str])
        report = await manager.reload(named)
        after = await manager.execute("p", None, dict[str, str])

    assert ("options",) == report.plugins["p"].keys
    assert {str(number) for number in held} == after.keys() - before.keys()
