"""
What the tests of fork servers share: running a program both ways, and what the system knows of the processes.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from remora.types import Call, Endpoint
from remora_exec._keeping import _keeper
from remora_exec.plugin import ExecOptions, build


async def run(program: Path | str, *args: str, **options: Any) -> Any:
    """
    What a program prints when it is run once.
    """
    transport = build(ExecOptions(protocol="oneshot", args=args, **options))
    with anyio.fail_after(20):
        async with transport.open(Endpoint(f"exec:{program}")) as channel:
            return json.loads((await channel.call(Call(payload=b'"in"'))).payload)


async def fork(program: Path | str, *args: str, **options: Any) -> Any:
    """
    The same, forked.
    """
    return await run(program, *args, start_method="forkserver", **options)


@asynccontextmanager
async def fork_server_of(**options: Any) -> AsyncIterator[None]:
    """
    Have the fork server that such programs share stay until the end of the block.
    """
    transport = build(ExecOptions(protocol="oneshot", start_method="forkserver", args=("-m", "json.tool"), **options))
    async with transport.open(Endpoint(f"exec:{sys.executable}")) as channel:
        await channel.call(Call(payload=b"null"))
        yield


def servers() -> list[int]:
    """
    The fork servers of this process.
    """
    return [each.popen.pid for each in _keeper._keepers if each.interpreter is not None]


def known_of(pid: int, what: str) -> str:
    """
    What the system knows of a process.
    """
    return Path(f"/proc/{pid}/{what}").read_text()


def parent_of(pid: int) -> int:
    return int(known_of(pid, "stat").rpartition(")")[2].split()[1])


def memory_of(pid: int) -> bytes:
    """
    All that a process may write to.
    """
    found = bytearray()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in known_of(pid, "maps").splitlines():
            if (words := line.split())[1].startswith("rw"):
                start, end = (int(each, 16) for each in words[0].split("-"))
                memory.seek(start)
                found += memory.read(end - start)
    return bytes(found)
