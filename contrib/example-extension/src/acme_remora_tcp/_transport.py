"""
The transport: sockets from anyio, everything above them from `remora.io`.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
from anyio.abc import SocketAttribute, SocketStream

from remora import ConfigError, Endpoint, Unavailable
from remora.io import TtrpcChannel, background_tasks, open_ttrpc, serve_ttrpc

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from acme_remora_tcp.plugin import Options
    from remora.protocols import Dispatch


class TcpTransport:
    """
    Carries calls over TCP.
    """

    def __init__(self, options: Options) -> None:
        self._options = options

    @asynccontextmanager
    async def open(self, endpoint: Endpoint, /) -> AsyncGenerator[TtrpcChannel]:
        """
        A channel to whoever listens at the endpoint.
        """
        host, port = _address(endpoint)
        try:
            with anyio.fail_after(self._options.connection.connection_timeout):
                stream = await anyio.connect_tcp(host, port)
        except (OSError, TimeoutError) as error:
            raise Unavailable(f"cannot connect to {endpoint.url}: {error}", sent=False) from error
        async with open_ttrpc(stream, max_message_size=self._options.max_message_size) as channel:
            yield channel

    @asynccontextmanager
    async def listen(self, endpoint: Endpoint, dispatch: Dispatch, /) -> AsyncGenerator[TcpListener]:
        """
        Serve at the endpoint; for the bare `tcp:` at a free port of the loopback interface.
        """
        host, port = _address(endpoint) if endpoint.address else ("127.0.0.1", 0)
        try:
            listener = await anyio.create_tcp_listener(local_host=host, local_port=port)
        except OSError as error:
            raise Unavailable(f"cannot listen at {endpoint.url}: {error}", sent=False) from error

        async def serve(stream: SocketStream) -> None:
            peer = stream.extra(SocketAttribute.remote_address)
            await serve_ttrpc(stream, dispatch, f"{peer[0]}:{peer[1]}", max_message_size=self._options.max_message_size)

        async with listener, background_tasks() as tasks:
            tasks.start_soon(listener.serve, serve, tasks)
            yield TcpListener(Endpoint(f"tcp://{host}:{listener.extra(SocketAttribute.local_port)}"))


@dataclass(frozen=True, slots=True)
class TcpListener:
    """
    A served plugin.
    """

    endpoint: Endpoint

    async def wait_closed(self) -> None:
        """
        Wait for ever: a listening socket does not end by itself.
        """
        await anyio.sleep_forever()


def _address(endpoint: Endpoint) -> tuple[str, int]:
    parts = urlsplit(endpoint.url)
    try:
        if parts.hostname and parts.port:
            return parts.hostname, parts.port
    except ValueError as error:
        raise ConfigError(f"{endpoint.url}: {error}") from error
    raise ConfigError(f"{endpoint.url}: expected tcp://HOST:PORT")
