"""
The servers with which Remora's own is compared, each with an application that only echoes:
`python -m benchmarks.peers_asgi uvicorn|hypercorn asyncio|uvloop|trio`.

The first line on standard output is their address and their PID; they end on SIGTERM.
"""

from __future__ import annotations

import os
import socket
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

import anyio
import hypercorn
import uvicorn

from benchmarks.placement import obeyed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def echo(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    """
    A minimal application.
    """
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def run_hypercorn(listening: socket.socket, backend: str) -> None:
    """
    Serve with Hypercorn, without logging and without lifespan.
    """
    config = hypercorn.Config()
    config.bind = [f"fd://{listening.fileno()}"]
    config.errorlog = None
    module = import_module("hypercorn.trio" if backend == "trio" else "hypercorn.asyncio")
    await module.serve(_without_lifespan, config, shutdown_trigger=anyio.sleep_forever)


async def _without_lifespan(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await echo(scope, receive, send)
    else:
        await send({"type": f"{(await receive())['type']}.complete"})
        await anyio.sleep_forever()


def main(server: str, backend: str) -> None:
    """
    Serve until SIGTERM.
    """
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # else Nagle's algorithm stays on
    listening.bind(("127.0.0.1", 0))
    listening.listen(1024)
    print(f"127.0.0.1:{listening.getsockname()[1]} {os.getpid()}", flush=True)
    if server == "uvicorn":
        config = uvicorn.Config(echo, loop=backend, http="httptools", lifespan="off", log_level="critical")
        uvicorn.Server(config).run(sockets=[listening])
    else:
        options = {"use_uvloop": True} if backend == "uvloop" else {}
        name = "trio" if backend == "trio" else "asyncio"
        anyio.run(run_hypercorn, listening, backend, backend=name, backend_options=options)


if __name__ == "__main__":
    main(*obeyed(sys.argv[1:]))
