"""
Unix sockets for httpx, by a network backend of our own.

That of httpcore does not check who listens, loses the socket when the queue is full, and reads from streams that report
an error to the event loop when a read is cancelled just as its peer closes.

What lives here: connections. What must not: requests (see `_httpx`).
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpcore
import httpx

from remora.io import SocketPipe
from remora_http._client._lines import readiness
from remora_http._unix import connect_unix

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterable, Iterator

    from remora_http._address import Address

_BROKEN = (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


class UnixTransport(httpx.AsyncHTTPTransport):
    """
    httpx's own transport, except for how connections are made.
    """

    def __init__(self, address: Address, limits: httpx.Limits, *, http2: bool) -> None:
        # Its constructor has no argument for a backend; apart from that it makes the same pool.
        self._pool = httpcore.AsyncConnectionPool(
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            http1=not http2,
            http2=http2,
            uds=address.socket,
            network_backend=UnixBackend(address),
        )


class UnixBackend(httpcore.AsyncNetworkBackend):
    """
    Connections to the socket of one address.
    """

    def __init__(self, address: Address) -> None:
        self._address = address

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> UnixStream:
        """
        A connection, after checking who listens.

        Raises:
            httpcore.ConnectError: None can be made.
            httpcore.ConnectTimeout: None was made in time.
            PeerRefused: The listening process belongs to a user who may not listen.
        """
        with _mapped(httpcore.ConnectTimeout, httpcore.ConnectError), anyio.fail_after(timeout):
            return UnixStream(await connect_unix(self._address))

    async def sleep(self, seconds: float) -> None:
        """
        Let time pass.
        """
        await anyio.sleep(seconds)


class UnixStream(httpcore.AsyncNetworkStream):
    """
    A connection, which owns its socket.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._pipe = SocketPipe(connected)
        self._is_readable = readiness(connected.fileno())

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """
        The next bytes, at most 64 KiB; empty at the end.

        Raises:
            httpcore.ReadError: The connection is broken.
            httpcore.ReadTimeout: None came in time.
        """
        with _mapped(httpcore.ReadTimeout, httpcore.ReadError), anyio.fail_after(timeout):
            try:
                return await self._pipe.receive()
            except anyio.EndOfStream:
                return b""

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """
        Write all of it.

        Raises:
            httpcore.WriteError: The connection is broken.
            httpcore.WriteTimeout: It was not read in time.
        """
        with _mapped(httpcore.WriteTimeout, httpcore.WriteError), anyio.fail_after(timeout):
            if buffer:
                await self._pipe.send(buffer)

    async def aclose(self) -> None:
        """
        Close it.
        """
        await self._pipe.aclose()

    def get_extra_info(self, info: str) -> Any:
        """
        What httpcore needs: the socket, and, before it reuses a connection, whether anything has arrived.
        """
        if info == "is_readable":
            return self._socket.fileno() < 0 or self._is_readable()
        return self._socket if info == "socket" else None


@contextmanager
def _mapped(late: type[Exception], broken: type[Exception]) -> Iterator[None]:
    try:
        yield
    except TimeoutError as exc:
        raise late(str(exc)) from exc
    except _BROKEN as exc:
        raise broken(str(exc)) from exc
