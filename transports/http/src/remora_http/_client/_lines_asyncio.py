"""
Lines on asyncio: a protocol of the event loop, and a bare future to wait for.

A stream would cost several times as much for each exchange.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from remora.errors import RemoraError
from remora.io import landing
from remora_http._client._lines import failure_of, readiness
from remora_http._sending import APART, Sender
from remora_http._unix import connect_unix

if TYPE_CHECKING:
    import ssl

    from remora_http._address import Address
    from remora_http._client._answer_reader import AnswerReader


async def connect(address: Address, tls: ssl.SSLContext | None, reader: AnswerReader) -> ProtocolLine:
    """
    A new line, once its handshake is over.

    Raises:
        OSError: No connection can be made.
    """
    loop = asyncio.get_running_loop()
    if address.socket:
        _, line = await loop.create_unix_connection(
            lambda: ProtocolLine(loop, reader), sock=await connect_unix(address)
        )
        return line
    name = address.host if tls else None
    _, line = await loop.create_connection(
        lambda: ProtocolLine(loop, reader), address.host, address.port, ssl=tls, server_hostname=name
    )
    return line


class ProtocolLine(asyncio.BufferedProtocol):
    """
    A line that gets its bytes from the event loop.
    """

    number: int
    since: float

    def __init__(self, loop: asyncio.AbstractEventLoop, reader: AnswerReader) -> None:
        self.reader = reader
        self._loop = loop
        self._landing = landing()
        self._is_open = self._is_large = False
        self._waiter: asyncio.Future[None] | None = None
        self._error: RemoraError | None = None

    def exchange(self, head: bytes, body: bytes) -> asyncio.Future[None]:
        """
        Send a request; returns a future that is done when the reader has the whole answer.
        """
        if not self._is_open:
            raise self._error or failure_of(self, ConnectionError())
        self._waiter = waiter = self._loop.create_future()
        self._is_large = len(body) >= APART
        self._sender.write(head, body)
        return waiter

    def end(self, error: RemoraError) -> None:
        """
        Close the line; the exchange under way ends with an error.
        """
        self._fail(error)
        self.close()

    def close(self) -> None:
        """
        Close the line, whatever is under way.
        """
        self._is_open = False
        self._transport.abort()

    def is_idle(self) -> bool:
        """
        Whether the line is open, and nothing has happened on it since the last exchange.
        """
        if self._is_large and self._sender.unsent():
            return False  # a server may answer before it has heard all, and never read the rest
        return self._is_open and not self._is_readable()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._sender = Sender(self._transport)
        self._is_readable = readiness(transport.get_extra_info("socket").fileno())
        self._is_open = True

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._landing

    def buffer_updated(self, nbytes: int) -> None:
        waiter = self._waiter
        if waiter is None or waiter.done():
            return self.close()  # nobody has asked for anything
        try:
            if self.reader.feed(self._landing[:nbytes]):
                waiter.set_result(None)
        except RemoraError as error:
            self.end(error)
        return None

    def eof_received(self) -> None:
        self._is_open = False
        if self._waiter is None or self._waiter.done():
            return
        try:
            self.reader.feed_eof()
            self._waiter.set_result(None)
        except RemoraError as error:
            self._fail(error)

    def connection_lost(self, error: Exception | None) -> None:
        self._is_open = False
        lost = failure_of(self, error or ConnectionError())
        lost.__cause__ = error
        self._fail(lost)

    def _fail(self, error: RemoraError) -> None:
        self._error = self._error or error
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
