"""
Managers that give up quickly, and HTTP by hand.
"""

from __future__ import annotations

from typing import Any

import anyio
from anyio.abc import SocketStream

from remora import Manager


def manager_of(**plugins: dict[str, Any]) -> Manager:
    """
    A manager whose plugins are asked once, and never for their health, unless their tables say otherwise.
    """
    quiet = {"retry": {"max_retries": 0}, "health_check": {"enabled": False}}
    return Manager({"plugins": {name.replace("_", "-"): {**quiet, **table} for name, table in plugins.items()}})


async def ask(manager: Manager, plugin: str, request: object = None, **options: Any) -> Any:
    """
    Make one call of whatever method there is.
    """
    return await manager.plugin(plugin, object, object).execute(request, **options)


async def http_request(stream: SocketStream) -> bytes:
    """
    The next request on a connection, headers and body; empty when there is none.
    """
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            data += await stream.receive()
        head, _, body = data.partition(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.lower().splitlines() if line.startswith(b"content-length:")), 0)
        while len(body) < length:
            body += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return b""
    return head + b"\r\n\r\n" + body


def http_answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """
    A whole answer.
    """
    lines = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body
