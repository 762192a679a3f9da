"""
Lines on trio: a bare socket that is written to at once and waited for by its descriptor.

A stream would cost twice as much for each exchange. TLS, which costs far more than that, does go through trio's.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import trio
from trio.lowlevel import checkpoint, notify_closing, wait_readable, wait_writable

from remora.errors import RemoraError
from remora.io import background_tasks, landing
from remora_http._client._glance import Glance
from remora_http._client._lines import failure_of, readiness
from remora_http._sending import APART
from remora_http._unix import connect_unix

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    import anyio

    from remora_http._address import Address
    from remora_http._client._answer_reader import AnswerReader

T = TypeVar("T")
_CHUNK = 64 * 1024
_LONG = 256 * 1024
"""The size in bytes from which a body may have to wait for the server to read it."""
_UNDER_WAY = (errno.EINPROGRESS, errno.EWOULDBLOCK)


async def connect(address: Address, tls: ssl.SSLContext | None, reader: AnswerReader) -> SocketLine | TlsLine:
    """
    A new line, once its handshake is over.

    Raises:
        OSError: No connection can be made.
    """
    if address.socket:
        return SocketLine(await connect_unix(address), reader)
    if tls is None:
        return SocketLine(await _connected(address), reader)
    stream = await trio.open_tcp_stream(address.host, address.port)
    secured = trio.SSLStream(stream, tls, server_hostname=address.host, https_compatible=True)
    try:
        await secured.do_handshake()
    except trio.BrokenResourceError as exc:
        stream.socket.close()
        raise _broken(exc) from exc
    except BaseException:
        stream.socket.close()
        raise
    return TlsLine(stream, secured, reader)


async def _connected(address: Address) -> socket.socket:
    """
    Trio's own way tries all addresses of a name, in tasks. Where there is but one, that costs more than connecting.
    """
    family = _family(address.host)
    if family is None:
        stream = await trio.open_tcp_stream(address.host, address.port)
        return socket.socket(fileno=stream.socket.detach())
    connecting = socket.socket(family, socket.SOCK_STREAM)
    try:
        connecting.setblocking(False)
        connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        failure = connecting.connect_ex((address.host, address.port))
        if failure in _UNDER_WAY:
            await wait_writable(connecting)
            failure = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failure:
            raise OSError(failure, os.strerror(failure))
    except BaseException:
        connecting.close()
        raise
    return connecting


def _family(host: str) -> socket.AddressFamily | None:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, host)
        except OSError:
            continue
        return family
    return None


class SocketLine:
    """
    A line over a socket.
    """

    number: int
    since: float

    def __init__(self, connected: socket.socket, reader: AnswerReader) -> None:
        connected.setblocking(False)
        self.reader = reader
        self._socket = connected
        self._descriptor = connected.fileno()
        self._landing = landing()
        self._is_readable = readiness(self._descriptor)
        self._is_open = True
        self._glance = Glance()
        self._error: RemoraError | None = None

    async def exchange(self, head: bytes, body: bytes) -> None:
        """
        Send a request, and return when the reader has the whole answer.
        """
        try:
            if len(body) >= APART:
                sent = self._send_some(self._socket.sendmsg, (head, body))
            else:
                sent = self._send_some(self._socket.send, head + body)
            if sent < len(head) + len(body):
                rest = memoryview(head + body)[sent:]
                if await _is_answered_before(partial(self._send_rest, rest), self._hear, self.reader):
                    return
            glance = self._glance
            if glance.skips:
                glance.skips -= 1
            else:
                await checkpoint()
                if self._receive():
                    if glance.pause:
                        glance.succeed()
                    return
                glance.fail()
            while not await self._hear():
                pass
        except (OSError, trio.ClosedResourceError) as exc:
            raise self._error or failure_of(self, exc) from exc

    def end(self, error: RemoraError) -> None:
        """
        Close the line; the exchange under way ends with an error.
        """
        self._error = error
        self.close()

    def close(self) -> None:
        """
        Close the line, whatever is under way.
        """
        if self._is_open:
            self._is_open = False
            notify_closing(self._socket)
            self._socket.close()

    def is_idle(self) -> bool:
        """
        Whether the line is open, and nothing has happened on it since the last exchange.
        """
        return self._is_open and not self._is_readable()

    async def _hear(self) -> bool:
        await wait_readable(self._descriptor)
        return self._receive()

    async def _send_rest(self, rest: memoryview) -> None:
        while rest:
            await wait_writable(self._descriptor)
            rest = rest[self._send_some(self._socket.send, rest) :]

    def _send_some(self, send: Callable[[T], int], data: T) -> int:
        try:
            return send(data)
        except BlockingIOError:
            return 0
        except (BrokenPipeError, ConnectionResetError):
            if not self._is_readable():
                raise
            return sys.maxsize  # the server did not want to hear it all, and has said why

    def _receive(self) -> bool:
        try:
            size = self._socket.recv_into(self._landing)
        except BlockingIOError:
            return False
        if size:
            return self.reader.feed(self._landing[:size])
        self.reader.feed_eof()
        return True


class TlsLine:
    """
    A line over TLS.
    """

    number: int
    since: float

    def __init__(
        self, stream: trio.SocketStream, secured: trio.SSLStream[trio.SocketStream], reader: AnswerReader
    ) -> None:
        self.reader = reader
        self._socket = stream.socket
        self._stream = secured
        self._is_readable = readiness(stream.socket.fileno())
        # What has arrived and is still encrypted; trio has no public name for it. Unknown, it counts as something.
        self._arrived: ssl.MemoryBIO | None = getattr(secured, "_incoming", None)
        self._error: RemoraError | None = None

    async def exchange(self, head: bytes, body: bytes) -> None:
        """
        Send a request, and return when the reader has the whole answer.
        """
        try:
            send = partial(self._stream.send_all, head + body)
            if len(body) < _LONG:
                await send()
            elif await _is_answered_before(send, self._hear, self.reader):
                return
            while not await self._hear():
                pass
        except (trio.ClosedResourceError, trio.BrokenResourceError, OSError) as exc:
            raise self._error or failure_of(self, exc) from exc

    def end(self, error: RemoraError) -> None:
        """
        Close the line; the exchange under way ends with an error.
        """
        self._error = error
        self.close()

    def close(self) -> None:
        """
        Close the line, whatever is under way.
        """
        self._socket.close()

    def is_idle(self) -> bool:
        """
        Whether the line is open, and nothing has happened on it since the last exchange.
        """
        if self._arrived is None or self._arrived.pending:
            return False
        return self._socket.fileno() >= 0 and not self._is_readable()

    async def _hear(self) -> bool:
        data = await self._stream.receive_some(_CHUNK)
        if data:
            return self.reader.feed(memoryview(data))
        self.reader.feed_eof()
        return True


async def _is_answered_before(
    send: Callable[[], Awaitable[None]], hear: Callable[[], Awaitable[bool]], reader: AnswerReader
) -> bool:
    """
    Send a long request, and hear what comes meanwhile. A server that has heard enough may answer, and never read on.

    Returns:
        Whether the answer was complete before all was sent; the connection is of no use then.
    """
    failures: list[Exception] = []

    async def listen(sending: anyio.CancelScope) -> None:
        try:
            while not await hear():
                pass
        except (OSError, trio.ClosedResourceError, trio.BrokenResourceError, RemoraError) as error:
            failures.append(error)
        sending.cancel()

    async with background_tasks() as tasks:
        tasks.start_soon(listen, tasks.cancel_scope)
        await send()
    if failures:
        raise failures[0]
    if reader.is_complete:
        reader.is_reusable = False
    return reader.is_complete


def _broken(error: Exception) -> ConnectionError:
    return ConnectionError(str(error.__cause__ or error) or "it was closed")
