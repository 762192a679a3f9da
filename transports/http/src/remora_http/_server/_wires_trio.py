"""
Wires on trio: a bare socket, and a task that reads it.

TLS goes through trio's stream.
"""

from __future__ import annotations

import logging
import math
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from remora.io import landing
from remora.tls import identity_of
from remora_http._sending import APART
from remora_http._server._request_reader import RequestReader
from remora_http._server._wires import CONTINUE, HANDSHAKE, PATIENCE, place

if TYPE_CHECKING:
    import ssl

    from remora_http._server._request_reader import Request
    from remora_http._server._wires import Answerer, Begin, Terms

_CHUNK = 64 * 1024
_GONE = (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError)

_log = logging.getLogger(__name__.replace("_", ".", 1))


async def listen(listening: socket.socket, tls: ssl.SSLContext | None, terms: Terms, begin: Begin) -> None:
    """
    Accept connections until it is cancelled, and read each in a task of its own.
    """

    async def handle(stream: trio.SocketStream) -> None:
        # Trio's own socket goes through the scheduler an additional time at every read and write.
        bare = socket.socket(fileno=stream.socket.detach())
        bare.setblocking(False)
        try:
            wire = await _secure(bare, tls, terms) if tls is not None else SocketWire(bare, terms)
            if wire is not None:
                await wire.run(begin)
        finally:
            _close(bare)

    await trio.serve_listeners(handle, [trio.SocketListener(trio.socket.from_stdlib_socket(listening))])


async def _secure(bare: socket.socket, tls: ssl.SSLContext, terms: Terms) -> TlsWire | None:
    stream = trio.SocketStream(trio.socket.from_stdlib_socket(bare))
    secured = trio.SSLStream(stream, tls, server_side=True, https_compatible=True)
    try:
        with trio.move_on_after(HANDSHAKE):
            await secured.do_handshake()
            return TlsWire(bare, secured, terms)
    except _GONE:
        pass
    return None


class SocketWire:
    """
    A wire over a socket.
    """

    _answerer: Answerer

    def __init__(self, connected: socket.socket, terms: Terms) -> None:
        self.peer = place(_name_of_peer(connected))
        self.identity = ""
        self.due = trio.current_time() + terms.idle
        self._socket = connected
        self._clock = trio.lowlevel.current_clock().current_time
        self._terms = terms
        self._reader = RequestReader(terms.limit)
        self._landing = landing()
        self._is_gone = self._is_resting = self._has_begun = self._may_hold_more = False
        self._unsent: bytes | memoryview = b""
        self._taken = trio.Event()

    @property
    def is_over(self) -> bool:
        """
        Whether no more requests will come.
        """
        return self._is_gone or (self._reader.is_ended and not self._reader.requests)

    async def run(self, begin: Begin) -> None:
        """
        Hand what arrives to the reader, until the client has gone.
        """
        self._answerer = begin(self)
        self._rest()
        try:
            await self._read()
        except _GONE:
            pass
        except Exception:
            # An error of one connection must not affect the others.
            _log.exception("the connection of %s has ended with an error", self.peer)
        finally:
            self._is_gone = True
            self._answerer.hang_up()

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
        self._taken.set()
        return requests.popleft()

    def write(self, head: bytes, body: bytes = b"") -> bool:
        """
        Write what can be written without waiting.
        """
        if len(body) < APART or self._unsent:
            self._unsent = b"".join((self._unsent, head, body)) if self._unsent else head + body
            self._send_some()
        else:
            self._send_apart(head, body)
        return not self._unsent

    async def flush(self) -> None:
        """
        Wait until all is written, or the client has gone.
        """
        self.due = self._clock() + self._terms.slow
        while self._unsent:
            try:
                await trio.lowlevel.wait_writable(self._socket)
            except _GONE:
                self._unsent = b""
            self._send_some()

    async def linger(self) -> None:
        """
        Give a client that is still sending a moment to read what it was told.
        """
        if self._reader.is_cut and not self._is_gone:
            self._finish()
            await trio.sleep(PATIENCE)

    def expire(self) -> None:
        """
        Give up what has not happened in time.
        """
        if self._reader.is_amid and not self._unsent:
            self._reader.expire()
            self._answerer.go_on()
        else:
            self.close()

    def close(self) -> None:
        """
        Close the connection.
        """
        _close(self._socket)

    async def _read(self) -> None:
        reader = self._reader
        while data := await self._receive():
            reader.feed(data)
            if reader.requests:
                self._answerer.go_on()
                while reader.is_full:
                    self._taken = trio.Event()
                    await self._taken.wait()
            elif self._is_resting:
                self._note_beginning()

    async def _receive(self) -> bytes | memoryview:
        if self._may_hold_more:
            await trio.lowlevel.checkpoint()
        else:
            await trio.lowlevel.wait_readable(self._socket)
        while True:
            try:
                size = self._socket.recv_into(self._landing)
            except (BlockingIOError, InterruptedError):
                await trio.lowlevel.wait_readable(self._socket)
            else:
                self._may_hold_more = size == len(self._landing)
                return self._landing[:size]

    def _send_apart(self, head: bytes, body: bytes) -> None:
        try:
            sent = self._socket.sendmsg((head, body))
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            return
        if sent < len(head) + len(body):
            self._unsent = memoryview(head + body)[sent:]

    def _send_some(self) -> None:
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:
            self._unsent = b""

    def _finish(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def _rest(self) -> None:
        self._is_resting = True
        self._has_begun = self._reader.is_amid
        self.due = self._clock() + (self._terms.slow if self._has_begun else self._terms.idle)
        self._send_continue()

    def _note_beginning(self) -> None:
        """
        Give the rest of a request its time from the moment when it began.
        """
        if self._reader.is_amid and not self._has_begun:
            self._has_begun = True
            self.due = self._clock() + self._terms.slow
        self._send_continue()

    def _send_continue(self) -> None:
        if self._reader.wants_continue:
            self._reader.wants_continue = False
            self.write(CONTINUE)


class TlsWire(SocketWire):
    """
    A wire over TLS.
    """

    def __init__(self, connected: socket.socket, secured: trio.SSLStream[trio.SocketStream], terms: Terms) -> None:
        super().__init__(connected, terms)
        self.identity = identity_of(secured.getpeercert())
        self._stream = secured
        self._turn = trio.Lock()

    async def run(self, begin: Begin) -> None:
        """
        Hand what arrives to the reader, until the client has gone.
        """
        async with trio.open_nursery() as self._nursery:
            await super().run(begin)

    def write(self, head: bytes, body: bytes = b"") -> bool:
        """
        Leave all to `flush`.
        """
        self._unsent = b"".join((self._unsent, head, body))
        return False

    async def flush(self) -> None:
        """
        Wait until all is written, or the client has gone.
        """
        self.due = self._clock() + self._terms.slow
        async with self._turn:
            unsent, self._unsent = self._unsent, b""
            with suppress(*_GONE):
                await self._stream.send_all(unsent)

    async def _receive(self) -> bytes | memoryview:
        return bytes(await self._stream.receive_some(_CHUNK))

    def _finish(self) -> None:
        pass  # half a connection cannot be closed under TLS

    def _send_continue(self) -> None:
        super()._send_continue()
        if self._unsent:
            self._nursery.start_soon(self.flush)


def _close(connected: socket.socket) -> None:
    if connected.fileno() >= 0:
        trio.lowlevel.notify_closing(connected)
        connected.close()


def _name_of_peer(connected: socket.socket) -> object:
    try:
        return connected.getpeername()
    except OSError:  # it has gone already
        return None
