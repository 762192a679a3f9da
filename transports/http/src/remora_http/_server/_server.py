"""
Serving on a socket.

What lives here: the socket, the connections there are, and the end of them all. What must not: requests (see
`_connection`), event loops (see `_wires`).
"""

from __future__ import annotations

import errno
import socket
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import anyio

from remora.errors import ConfigError, Unavailable
from remora.io import Deadlines, WorkerPool, background_tasks, loop_clock
from remora_http._address import parse_local_address
from remora_http._server._answering import Responder
from remora_http._server._connection import Connection, Shared
from remora_http._server._wires import BACKLOG, Terms, listener
from remora_http._tls import server_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from remora.protocols import Dispatch
    from remora.types import Endpoint
    from remora_http._address import Address
    from remora_http._server._wires import Wire
    from remora_http.plugin import Options

_GRACE = 2.0
_PRECISION = 1.0


class HttpListener:
    """
    A plugin that is served on a socket.

    Attributes:
        endpoint: Where the plugin can be called.
    """

    def __init__(self, endpoint: Endpoint, finished: anyio.Event) -> None:
        self.endpoint = endpoint
        self._finished = finished

    async def wait_closed(self) -> None:
        """
        Wait until the server has been stopped; it does not end by itself.
        """
        await self._finished.wait()


@asynccontextmanager
async def serve(endpoint: Endpoint, dispatch: Dispatch, options: Options) -> AsyncIterator[HttpListener]:
    """
    Serve a plugin until the context is left.

    Raises:
        Unavailable: The address is taken.
        ConfigError: The address or the certificates cannot be used.
    """
    address = parse_local_address(endpoint)
    tls = server_context(options) if address.secure else None
    with await _bind(address) as listening:
        terms = Terms(limit=options.max_message_size, idle=options.idle_timeout, slow=options.slow_timeout)
        server = _Server(Responder(dispatch, terms.limit, options.origins), address.path, terms)
        url = f"{replace(address, port=listening.getsockname()[1]).origin}{address.path}"
        async with background_tasks() as tasks:
            tasks.start_soon(server.run, listening, tls)
            try:
                yield HttpListener(replace(endpoint, url=url), server.finished)
            finally:
                await server.stop()


async def _bind(address: Address) -> socket.socket:
    try:
        family, *_, place = (await anyio.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM))[0]
        with socket.create_server(place[:2], family=family, backlog=BACKLOG) as listening:
            return socket.socket(fileno=listening.detach())
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise Unavailable(f"the address {address.authority} is taken", sent=False) from exc
        raise ConfigError(f"cannot listen on {address.authority}: {exc}") from exc


class _Server:
    """
    The connections of one socket.
    """

    def __init__(self, responder: Responder, root: str, terms: Terms) -> None:
        self._terms = terms
        self._interval = min(terms.slow, max(terms.idle, _PRECISION))
        self._responder = responder
        self._root = root
        self._clock = loop_clock()
        self._deadlines = Deadlines()
        self._dues = Deadlines()
        self._numbers = count()
        self._connections: dict[int, Connection] = {}
        self._is_stopped = False
        self._is_empty = anyio.Event()
        # The task that holds the listener may be cancelled; `stop` ends the server in order.
        self._scope = anyio.CancelScope(shield=True)
        self.finished = anyio.Event()

    async def run(self, listening: socket.socket, tls: ssl.SSLContext | None) -> None:
        """
        Serve until `stop` is called.
        """
        try:
            with self._scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._deadlines.watch, self._expire_call)
                    tasks.start_soon(self._dues.watch, self._expire)
                    shared = self._shared(WorkerPool(tasks, Connection.work))
                    await listener()(listening, tls, self._terms, partial(self._begin, shared))
        finally:
            for connection in self._connections.values():
                connection.wire.close()
            self.finished.set()

    async def stop(self) -> None:
        """
        End all calls and close all connections, in bounded time.
        """
        self._is_stopped = True
        for connection in tuple(self._connections.values()):
            connection.stop()
        with anyio.CancelScope(shield=True):
            with anyio.move_on_after(_GRACE):
                if self._connections:
                    self._is_empty = anyio.Event()
                    await self._is_empty.wait()
            self._scope.cancel()
            await self.finished.wait()

    def _shared(self, workers: WorkerPool[Connection]) -> Shared:
        return Shared(
            responder=self._responder,
            root=self._root,
            clock=self._clock,
            deadlines=self._deadlines,
            workers=workers,
            forget=self._forget,
        )

    def _begin(self, shared: Shared, wire: Wire) -> Connection:
        number = next(self._numbers)
        connection = self._connections[number] = Connection(number, wire, shared)
        self._dues.add(number, self._clock() + self._interval)
        if self._is_stopped:
            connection.stop()
        return connection

    def _forget(self, number: int) -> None:
        self._dues.discard(number)
        if self._connections.pop(number, None) is not None and not self._connections:
            self._is_empty.set()

    def _expire_call(self, number: int) -> None:
        if (connection := self._connections.get(number)) is not None:
            connection.expire()

    def _expire(self, number: int) -> None:
        wire, now = self._connections[number].wire, self._clock()
        if wire.due <= now:
            wire.expire()
        if number in self._connections:
            self._dues.add(number, min(max(wire.due, now + _PRECISION), now + self._interval))
