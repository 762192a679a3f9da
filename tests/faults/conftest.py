"""
What the tests of faults share: hostile servers, slow programs, and managers that give up quickly.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
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
        async def handle(stream: SocketStream) -> None:
            try:
                await talk(stream)
            except (anyio.BrokenResourceError, anyio.EndOfStream):
                pass
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.aclose_forcefully(stream)

        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listener.serve, handle)
                yield f"127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
                tasks.cancel_scope.cancel()

    return serve


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
