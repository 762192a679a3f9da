"""
Wires: the server's ends of connections, and the choice of the kind that fits the running event loop.

What lives here: what a wire is, and its time limits. What must not: what requests mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import sniffio

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Awaitable, Callable

    from remora_http._server._request_reader import Request

    Begin = Callable[["Wire"], "Answerer"]
    Listen = Callable[[socket.socket, ssl.SSLContext | None, "Terms", Begin], Awaitable[None]]

BACKLOG = 1024
"""How many connections may wait to be accepted."""
HANDSHAKE = 10.0
"""Seconds for a TLS handshake."""
PATIENCE = 0.5
"""Seconds for which a client that is still sending may read why the server does not read any more."""
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """
    The limits for clients.

    Attributes:
        limit: The most bytes of a request's body, after decoding.
        idle: Seconds for which an idle connection is kept.
        slow: Seconds within which a request must arrive, and a response must be taken.
    """

    limit: int
    idle: float
    slow: float


class Answerer(Protocol):
    """
    What a wire calls when something happens.
    """

    def go_on(self) -> None:
        """
        A request can be taken.
        """
        ...

    def hang_up(self) -> None:
        """
        The client has gone.
        """
        ...


class Wire(Protocol):
    """
    The server's end of one connection.

    Attributes:
        peer: The address of the client.
        identity: The client's name, from its certificate; empty when it has shown none.
        due: The time by which the next thing must happen.
    """

    peer: str
    identity: str
    due: float

    @property
    def is_over(self) -> bool:
        """
        Whether no more requests will come.
        """
        ...

    def take(self) -> Request | None:
        """
        The next request; None when it has not arrived, and `Answerer.go_on` will be called when it has.
        """
        ...

    def write(self, head: bytes, body: bytes = b"") -> bool:
        """
        Write what can be written without waiting.

        Returns:
            Whether that was all; otherwise `flush` has to be awaited before more is written.
        """
        ...

    async def flush(self) -> None:
        """
        Wait until all is written, or the client has gone.
        """
        ...

    def expire(self) -> None:
        """
        Give up, since the next thing has not happened in time.
        """
        ...

    async def linger(self) -> None:
        """
        Give a client that is still sending a moment to read the answer.
        """
        ...

    def close(self) -> None:
        """
        Close the connection.
        """
        ...


def listener() -> Listen:
    """
    The function that accepts connections on the running event loop.
    """
    if sniffio.current_async_library() == "trio":
        from remora_http._server._wires_trio import listen as listen_trio

        return listen_trio
    from remora_http._server._wires_asyncio import listen as listen_asyncio

    return listen_asyncio


def place(address: object) -> str:
    """
    A socket's address as text.
    """
    if not isinstance(address, tuple):
        return ""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
