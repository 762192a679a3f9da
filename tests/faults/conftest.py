"""
What the tests of faults share: hostile servers, slow programs, and managers that give up quickly.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

Talk = Callable[[SocketStream], Awaitable[None]]


@pytest.fixture
def tcp_peer() -> Callable[[Talk], AbstractAsyncContextManager[str]]:
    """
    Lets a function talk to whoever connects; gives host and port.
    """

    @asynccontextmanager
    async def serve(talk: Talk) -> AsyncIterator[str]:
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listener.serve, partial(_converse, talk))
                yield f"127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
                tasks.cancel_scope.cancel()

    return serve


@pytest.fixture(params=["tcp", "unix"])
def http_peer(request: pytest.FixtureRequest, tcp_peer: Any, tmp_path: Path) -> Any:
    """
    As `tcp_peer`, on either kind of socket; gives the URL that leads there by HTTP.
    """

    @asynccontextmanager
    async def at_a_port(talk: Talk) -> AsyncIterator[str]:
        async with tcp_peer(talk) as place:
            yield f"http://{place}"

    @asynccontextmanager
    async def at_a_path(talk: Talk) -> AsyncIterator[str]:
        path = tmp_path / "peer.sock"
        async with await anyio.create_unix_listener(path) as listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, partial(_converse, talk))
            yield f"http+unix://{path}"
            await anyio.wait_all_tasks_blocked()  # else reads are cancelled as their peers close
            tasks.cancel_scope.cancel()

    return at_a_port if request.param == "tcp" else at_a_path


@pytest.fixture
def program(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """
    The table of a plugin that is a Python program speaking JSON lines; `answer(request)` in it gives the result.
    """

    def make(body: str, **table: Any) -> dict[str, Any]:
        path = tmp_path / f"plugin_{len(list(tmp_path.iterdir()))}.py"
        path.write_text(_PROGRAM.format(body=textwrap.dedent(body)))
        return {"endpoint": f"exec:{sys.executable}", "args": [str(path)], "protocol": "jsonl", **table}

    return make


_PROGRAM = """
import json, os, sys, time
{body}
for line in sys.stdin:
    request = json.loads(line)
    if "method" in request:
        print(json.dumps({{"id": request["id"], "result": answer(request)}}), flush=True)
"""


async def _converse(talk: Talk, stream: SocketStream) -> None:
    try:
        await talk(stream)
    except (anyio.BrokenResourceError, anyio.EndOfStream):
        pass
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.aclose_forcefully(stream)
