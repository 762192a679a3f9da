"""
Wires on asyncio: a protocol of the event loop, and a bare future for whoever waits.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, cast

import anyio

from remora.tls import identity_of
from remora_http._request_reader import RequestReader
from remora_http._wires import CONTINUE, HANDSHAKE, IDLE, PATIENCE, SLOW, place

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

    from remora_http._request_reader import Request
    from remora_http._wires import Serve


async def listen(listening: socket.socket, tls: ssl.SSLContext | None, limit: int, serve: Serve) -> None:
    """
    Accept connections until it is cancelled, and let each be served in a task of its own.
    """
    loop = asyncio.get_running_loop()
    async with anyio.create_task_group() as tasks:

        def begin(wire: ProtocolWire) -> None:
            tasks.start_soon(serve, wire)

        with anyio.CancelScope(shield=True):  # cancelled here, asyncio would forget to watch the socket no longer
            server = await loop.create_server(
                lambda: ProtocolWire(loop, limit, begin),
                sock=listening,
                ssl=tls,
                ssl_handshake_timeout=HANDSHAKE if tls else None,
            )
        try:
            await anyio.sleep_forever()
        finally:
            server.close()


class ProtocolWire(asyncio.Protocol):
    """
    A wire that the event loop hands its bytes to.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: int, begin: Callable[[ProtocolWire], None]) -> None:
        self.peer = self.identity = ""
        self.due = loop.time() + IDLE
        self._loop = loop
        self._reader = RequestReader(limit)
        self._begin = begin
        self._is_gone = self._is_held = False
        self._tell_gone: Callable[[], object] = _nothing
        self._waiter: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None

    def when_gone(self, do: Callable[[], object]) -> None:
        """
        Have something done when the client closes the connection.
        """
        self._tell_gone = do

    async def next_request(self) -> Request | None:
        """
        Wait for the next request; None when there is none in time, or the client has gone.
        """
        requests = self._reader.requests
        if not requests and not self._is_gone and not self._reader.is_ended:
            await self._wait_for_request()
        self.due = math.inf
        if self._is_held:
            self._is_held = False
            self._transport.resume_reading()
        return requests.popleft() if requests else None

    async def send(self, data: bytes) -> None:
        """
        Write all of it, or nothing to a client that has gone.
        """
        self._transport.write(data)
        if self._room is not None:
            self.due = self._loop.time() + SLOW
            await self._room

    async def linger(self) -> None:
        """
        Give a client that is still sending a moment to read what it was told.
        """
        if not self._reader.is_cut or self._is_gone:
            return
        if self._transport.can_write_eof():
            self._transport.write_eof()
        self._waiter = self._loop.create_future()
        with anyio.move_on_after(PATIENCE):
            await self._waiter

    def expire(self) -> None:
        """
        Give up what has not happened in time.
        """
        if self._room is None and self._reader.is_amid:
            self._reader.expire()
            self._wake()
        else:
            self.close()

    def close(self) -> None:
        """
        Close the connection.
        """
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=0)  # what is written has left when there is room
        self.peer = place(transport.get_extra_info("peername"))
        if (secured := transport.get_extra_info("ssl_object")) is not None:
            self.identity = identity_of(secured.getpeercert())
        self._begin(self)

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        reader.feed(data)
        if reader.requests:
            self._wake()
            if reader.is_full and not self._is_held:
                self._is_held = True
                self._transport.pause_reading()
        elif reader.wants_continue and self._waiter is not None:
            self._encourage()

    def eof_received(self) -> None:
        self._leave()

    def connection_lost(self, error: Exception | None) -> None:
        self._leave()
        self.resume_writing()

    def pause_writing(self) -> None:
        self._room = self._loop.create_future()

    def resume_writing(self) -> None:
        room, self._room = self._room, None
        if room is not None and not room.done():
            room.set_result(None)

    async def _wait_for_request(self) -> None:
        self.due = self._loop.time() + (SLOW if self._reader.is_amid else IDLE)
        self._encourage()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _encourage(self) -> None:
        if self._reader.wants_continue:
            self._reader.wants_continue = False
            self._transport.write(CONTINUE)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _leave(self) -> None:
        if not self._is_gone:
            self._is_gone = True
            self._tell_gone()
            self._wake()


def _nothing() -> None:
    pass
