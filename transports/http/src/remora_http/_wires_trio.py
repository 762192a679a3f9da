"""
Wires on trio: a bare socket, a task that reads it, and a bare reschedule for whoever waits.

TLS goes through trio's stream.
"""

from __future__ import annotations

import math
import socket
from typing import TYPE_CHECKING

import trio

from remora.tls import identity_of
from remora_http._request_reader import RequestReader
from remora_http._wires import CONTINUE, HANDSHAKE, IDLE, PATIENCE, SLOW, place

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from remora_http._request_reader import Request
    from remora_http._wires import Serve

_CHUNK = 64 * 1024
_GONE = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError)


async def listen(listening: socket.socket, tls: ssl.SSLContext | None, limit: int, serve: Serve) -> None:
    """
    Accept connections until it is cancelled, and let each be served in a task of its own.
    """

    async def handle(stream: trio.SocketStream) -> None:
        wire = SocketWire(stream, limit) if tls is None else await _secure(stream, tls, limit)
        if wire is not None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(wire.read)
                await serve(wire)
                nursery.cancel_scope.cancel()

    await trio.serve_listeners(handle, [trio.SocketListener(trio.socket.from_stdlib_socket(listening))])


async def _secure(stream: trio.SocketStream, tls: ssl.SSLContext, limit: int) -> TlsWire | None:
    secured = trio.SSLStream(stream, tls, server_side=True, https_compatible=True)
    try:
        with trio.move_on_after(HANDSHAKE):
            await secured.do_handshake()
            return TlsWire(stream, secured, limit)
    except _GONE:
        pass
    stream.socket.close()
    return None


class SocketWire:
    """
    A wire over a socket.
    """

    def __init__(self, stream: trio.SocketStream, limit: int) -> None:
        self.peer = place(stream.socket.getpeername())
        self.identity = ""
        self.due = trio.current_time() + IDLE
        self._socket = stream.socket
        self._reader = RequestReader(limit)
        self._is_gone = self._is_sending = False
        self._tell_gone: Callable[[], object] = _nothing
        self._waiter: trio.lowlevel.Task | None = None
        self._room = trio.Event()

    def when_gone(self, do: Callable[[], object]) -> None:
        """
        Have something done when the client closes the connection.
        """
        self._tell_gone = do

    async def read(self) -> None:
        """
        Hand what arrives to the reader, until the client has gone.
        """
        try:
            while data := await self._receive():
                self._reader.feed(data)
                if self._reader.requests:
                    self._wake()
                    await self._hold()
                elif self._reader.wants_continue and self._waiter is not None:
                    await self._encourage()
        except _GONE:
            pass
        self._is_gone = True
        self._tell_gone()
        self._wake()

    async def next_request(self) -> Request | None:
        """
        Wait for the next request; None when there is none in time, or the client has gone.
        """
        requests = self._reader.requests
        if not requests and not self._is_gone and not self._reader.is_ended:
            self.due = trio.current_time() + (SLOW if self._reader.is_amid else IDLE)
            await self._encourage()
            await self._park()
        self.due = math.inf
        self._room.set()
        return requests.popleft() if requests else None

    async def send(self, data: bytes) -> None:
        """
        Write all of it, or nothing to a client that has gone.
        """
        self._is_sending = True
        self.due = trio.current_time() + SLOW
        try:
            await self._send(data)
        except _GONE:
            self._is_gone = True
        self._is_sending = False

    async def linger(self) -> None:
        """
        Give a client that is still sending a moment to read what it was told.
        """
        if self._reader.is_cut and not self._is_gone:
            with trio.move_on_after(PATIENCE):
                self._finish()
                await self._park()

    def expire(self) -> None:
        """
        Give up what has not happened in time.
        """
        if self._reader.is_amid and not self._is_sending:
            self._reader.expire()
            self._wake()
        else:
            self.close()

    def close(self) -> None:
        """
        Close the connection.
        """
        self._socket.close()

    async def _receive(self) -> bytes:
        return await self._socket.recv(_CHUNK)

    async def _send(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest := rest[await self._socket.send(rest) :]:
            pass

    def _finish(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._is_gone = True

    async def _hold(self) -> None:
        while self._reader.is_full:
            self._room = trio.Event()
            await self._room.wait()

    async def _encourage(self) -> None:
        if self._reader.wants_continue:
            self._reader.wants_continue = False
            await self._send(CONTINUE)

    async def _park(self) -> None:
        if self._reader.requests or self._is_gone:
            return
        self._waiter = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._unpark)

    def _unpark(self, _: object) -> trio.lowlevel.Abort:
        self._waiter = None
        return trio.lowlevel.Abort.SUCCEEDED

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            trio.lowlevel.reschedule(waiter)


class TlsWire(SocketWire):
    """
    A wire over TLS.
    """

    def __init__(self, stream: trio.SocketStream, secured: trio.SSLStream[trio.SocketStream], limit: int) -> None:
        super().__init__(stream, limit)
        self.identity = identity_of(secured.getpeercert())
        self._stream = secured

    async def _receive(self) -> bytes:
        return bytes(await self._stream.receive_some(_CHUNK))

    async def _send(self, data: bytes) -> None:
        await self._stream.send_all(data)

    def _finish(self) -> None:
        pass  # half a connection cannot be closed under TLS


def _nothing() -> None:
    pass
