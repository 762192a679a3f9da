"""
What the tests of the exec transport share: programs to start, and a look at what processes are left.
"""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import pytest

from remora.config import ConnectionConfig
from remora.protocols import Channel
from remora.types import Call, Endpoint
from remora_exec.plugin import ExecOptions, build
from tests.transports.exec.forks import fork_server_of, servers

CHILD = Path(__file__).with_name("child.py")

Script = Callable[[str], Endpoint]
OpenChild = Callable[..., AbstractAsyncContextManager[Channel]]
Ask = Callable[..., Awaitable[Any]]


@pytest.fixture
def script(tmp_path: Path) -> Script:
    """
    Makes an endpoint of a shell script.
    """

    def make(body: str, interpreter: str = "/bin/sh") -> Endpoint:
        path = tmp_path / f"plugin-{len(list(tmp_path.iterdir()))}"
        path.write_text(f"#!{interpreter}\n{textwrap.dedent(body)}")
        path.chmod(0o755)
        return Endpoint(f"exec:{path}")

    return make


@pytest.fixture(scope="session")
def open_script() -> OpenChild:
    """
    Opens a channel to an endpoint, with these options.
    """

    def open_(endpoint: Endpoint, *, connection_timeout: float = 10.0, **options: Any) -> Any:
        connection = ConnectionConfig(connection_timeout=connection_timeout, max_connections=4)
        return build(ExecOptions(connection=connection, **options)).open(endpoint)

    return open_


@pytest.fixture(scope="module")
def open_child(open_script: OpenChild, anyio_backend: str) -> OpenChild:
    """
    Opens a channel to the plugin for the tests, which runs on the same backend as the test.
    """

    def open_(protocol: str = "ttrpc", **options: Any) -> Any:
        args = (str(CHILD), anyio_backend)
        return open_script(Endpoint(f"exec:{sys.executable}"), protocol=protocol, args=args, **options)

    return open_


@pytest.fixture(scope="module")
async def child(open_child: OpenChild, request: pytest.FixtureRequest) -> AsyncIterator[Channel]:
    """
    A channel to a plugin for the tests that leave it as it was: one for all of them, in the protocol that is the param.
    """
    async with open_child(request.param) as channel:
        yield channel


@pytest.fixture
def ask() -> Ask:
    """
    Makes one call with JSON in and JSON out.
    """

    async def ask_(channel: Channel, method: str, request: object = None, timeout: float = 20.0, **more: Any) -> Any:
        deadline = anyio.current_time() + timeout
        call = Call(service="S", method=method, payload=json.dumps(request).encode(), deadline=deadline, **more)
        return json.loads((await channel.call(call)).payload)

    return ask_


def _states() -> dict[int, tuple[int, int, str]]:
    """
    Parent, group and state of every process.
    """
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            found[int(entry.name)] = (int(fields[1]), int(fields[2]), fields[0])
    return found


@pytest.fixture
def children() -> Callable[[], list[int]]:
    """
    The processes whose parent is this one, zombies included.
    """
    return lambda: [pid for pid, (parent, _, _) in _states().items() if parent == os.getpid()]


@pytest.fixture
def group_members() -> Callable[[int], list[int]]:
    """
    The processes of a group that really run.
    """
    return lambda group: [pid for pid, (_, pgrp, state) in _states().items() if pgrp == group and state not in "ZX"]


@pytest.fixture
def is_running() -> Callable[[int], bool]:
    """
    Whether a process really runs.
    """
    return lambda pid: _states().get(pid, (0, 0, "X"))[2] not in "ZX"


@pytest.fixture
def until() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """
    Waits for what only polling can see, for a few seconds at most.
    """

    async def until_(claim: Callable[[], bool], seconds: float = 5.0) -> None:
        with anyio.fail_after(seconds):
            while not claim():
                await anyio.sleep(0.01)

    return until_


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """
    A directory that is nobody else's.
    """
    tmp_path.chmod(0o700)
    return tmp_path


@pytest.fixture
def write(place: Path) -> Callable[..., Path]:
    """
    Writes a program of Python.
    """

    def write_(code: str, name: str = "program.py", first: str = f"#!{sys.executable}") -> Path:
        path = place / name
        path.write_text(f"{first}\n{code}")
        path.chmod(0o755)
        return path

    return write_


@pytest.fixture(scope="module")
async def server(anyio_backend: str) -> AsyncIterator[int]:
    """
    A fork server that stays while the tests of a file run.
    """
    async with fork_server_of():
        yield servers()[0]
