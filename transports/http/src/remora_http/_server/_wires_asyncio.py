"""
Wires on asyncio: a protocol of the event loop, from whose callbacks requests are taken.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, cast

import anyio

from remora.io import landing
from remora.tls import identity_of
from remora_http._sending import Sender
from remora_http._server._request_reader import RequestReader
from remora_http._server._wires import BACKLOG, CONTINUE, HANDSHAKE, PATIENCE, place

if TYPE_CHECKING:
    import socket
    import ssl

    from remora_http._server._request_reader import Request
    from remora_http._server._wires import Answerer, Begin, Terms

_MOMENT = 0.01


async def listen(listening: socket.socket, tls: ssl.SSLContext | None, terms: Terms, begin: Begin) -> None:
    """
    Accept connections until it is cancelled.
    """
    loop = asyncio.get_running_loop()
    with anyio.CancelScope(shield=True):  # cancelled here, asyncio would go on watching the socket
        server = await loop.create_server(
            lambda: ProtocolWire(loop, terms, begin),
            sock=listening,
            ssl=tls,
            ssl_handshake_timeout=HANDSHAKE if tls else None,
            # How many are accepted at a time, and how many errors are logged at a time when descriptors run out.
            backlog=1,
        )
        listening.listen(BACKLOG)  # the number that may wait
    try:
        await anyio.sleep_forever()
    finally:
        server.close()


class ProtocolWire(asyncio.BufferedProtocol):
    """
    A wire that gets its bytes from the event loop.
    """

    _transport: asyncio.Transport
    _answerer: Answerer

    def __init__(self, loop: asyncio.AbstractEventLoop, terms: Terms, begin: Begin) -> None:
        self.peer = self.identity = ""
        self.due = loop.time() + terms.idle
        self._loop = loop
        self._terms = terms
        self._reader = RequestReader(terms.limit)
        self._landing = landing()
        self._begin = begin
        self._is_gone = self._is_held = self._is_resting = self._has_begun = self._is_secured = False
        self._room: asyncio.Future[None] | None = None

    @property
    def is_over(self) -> bool:
        """
        Whether no more requests will come.
        """
        return self._is_gone or (self._reader.is_ended and not self._reader.requests)

    def take(self) -> Request | None:
        """
        The next request; None when it has not arrived, and `Answerer.go_on` will be called when it has.
        """
        requests = self._reader.requests
        if not requests:
            self._rest()
            return None
        self._is_resting = False
        self.due = math.inf
        if self._is_held:
            self._is_held = False
            self._transport.resume_reading()
        return requests.popleft()

    def write(self, head: bytes, body: bytes = b"") -> bool:
        """
        Write what can be written without waiting.
        """
        self._sender.write(head, body)
        return self._room is None and not (self._is_secured and self._sender.unsent())

    async def flush(self) -> None:
        """
        Wait until all is written, or the client has gone.
        """
        self.due = self._loop.time() + self._terms.slow
        if self._room is not None:
            await self._room
        while self._is_secured and self._sender.unsent():  # noqa: ASYNC110, asyncio has no event for it
            await anyio.sleep(_MOMENT)

    async def linger(self) -> None:
        """
        Give a client that is still sending a moment to read what it was told.
        """
        if self._reader.is_cut and not self._is_gone:
            if self._transport.can_write_eof():
                self._transport.write_eof()
            await anyio.sleep(PATIENCE)

    def expire(self) -> None:
        """
        Give up what has not happened in time.
        """
        if self._room is None and self._reader.is_amid:
            self._reader.expire()
            self._answerer.go_on()
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
        self._sender = Sender(self._transport)
        self.peer = place(transport.get_extra_info("peername"))
        if (secured := transport.get_extra_info("ssl_object")) is not None:
            self.identity = identity_of(secured.getpeercert())
            self._is_secured = True
        self._answerer = self._begin(self)
        self._rest()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._landing

    def buffer_updated(self, nbytes: int) -> None:
        reader = self._reader
        reader.feed(self._landing[:nbytes])
        if reader.requests:
            self._answerer.go_on()
            if reader.is_full and not self._is_held:
                self._is_held = True
                self._transport.pause_reading()
        elif self._is_resting:
            self._note_beginning()

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

    def _rest(self) -> None:
        self._is_resting = True
        self._has_begun = self._reader.is_amid
        self.due = self._loop.time() + (self._terms.slow if self._has_begun else self._terms.idle)
        self._send_continue()

    def _note_beginning(self) -> None:
        """
        Give the rest of a request its time from the moment when it began.
        """
        if self._reader.is_amid and not self._has_begun:
            self._has_begun = True
            self.due = self._loop.time() + self._terms.slow
        self._send_continue()

    def _send_continue(self) -> None:
        if self._reader.wants_continue:
            self._reader.wants_continue = False
            self._transport.write(CONTINUE)

    def _leave(self) -> None:
        if not self._is_gone:
            self._is_gone = True
            self._answerer.hang_up()
