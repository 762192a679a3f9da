"""
The byte stream that a connection needs, and an implementation of it over a socket.

On asyncio, anyio's stream over a Unix socket reports an error to the loop when a pending read is cancelled just as its
peer closes. `SocketPipe` waits with `anyio.wait_readable`, which does not.

All pipes of a thread read into one shared buffer; what arrives must be taken from it before the next read.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

import anyio
from anyio.lowlevel import checkpoint

from remora.io._landing import ROOM, landing
from remora.io._loop import runs_on_trio
from remora.wire import LARGE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from remora.io._asyncio import Pump

    Hold = Callable[[], Callable[[], Awaitable[None]] | None]
    """None while reading may go on; else a function to call and await before it does."""

_ON_ITS_WAY = 512 * 1024


class BytePipe(Protocol):
    """
    The part of `anyio.abc.ByteStream` that a ttrpc connection needs.
    """

    async def receive(self) -> bytes:
        """
        The next bytes, as many as have arrived.

        Raises:
            anyio.EndOfStream: The peer has closed its side.
        """
        ...

    async def send(self, item: bytes, /) -> None:
        """
        Write all of `item`.
        """
        ...

    async def aclose(self) -> None:
        """
        Close both directions; a pending `receive` ends with an error.
        """
        ...


class SocketPipe:
    """
    A connected stream socket as a byte pipe. It owns the socket, and closes it.
    """

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        _widen(connected)
        self._socket = connected
        self._buffer = landing()
        self._may_hold_more = False
        self._pump: Pump | None = None

    async def receive(self) -> bytes:
        """
        The next bytes, as many as have arrived.

        Raises:
            anyio.EndOfStream: The peer has closed its side.
            anyio.BrokenResourceError: The connection is broken.
            anyio.ClosedResourceError: The pipe has been closed.
        """
        self._buffer = landing()  # of this thread, which may not have created the pipe
        if not self._may_hold_more:
            await self._wait(anyio.wait_readable)
        else:
            await checkpoint()
        while (data := self._read()) is None:
            await self._wait(anyio.wait_readable)
        self._may_hold_more = len(data) == ROOM
        if not data:
            raise anyio.EndOfStream
        return bytes(data)

    async def pump(self, take: Callable[[bytes | memoryview], object], hold: Hold | None = None) -> None:
        """
        Pass all bytes that arrive to `take`, instead of returning them from `receive`, until the connection ends.

        Args:
            take: Called with them; many bytes are a view that is valid until it returns.
            hold: Called after each time; what it returns is called and awaited before more is read.

        Raises:
            anyio.EndOfStream: The peer has closed its side.
            anyio.BrokenResourceError: The connection is broken.
            anyio.ClosedResourceError: The pipe has been closed.
        """
        if not self._is_open():
            raise anyio.ClosedResourceError
        self._buffer = landing()  # of this thread, which may not have created the pipe
        if runs_on_trio():
            from remora.io import _trio

            await _trio.pump(self._socket, self._read, take, hold, chunk=ROOM)
            return
        from remora.io._asyncio import Pump

        self._pump = Pump(self._socket.fileno(), self._read, take, hold)
        await self._pump.run()

    async def next_bytes(self) -> bytes | memoryview | None:
        """
        The next bytes, on trio, while nobody else reads; None after `rouse`. Many bytes are a view, as in `pump`.

        Raises:
            anyio.EndOfStream: The peer has closed its side.
            anyio.BrokenResourceError: The connection is broken.
            anyio.ClosedResourceError: The pipe has been closed.
        """
        from remora.io import _trio

        await _trio.readable_or_roused(self._socket)
        if (data := self._read()) is not None and not data:
            raise anyio.EndOfStream
        return data

    def rouse(self) -> None:
        """
        Wake the tasks that wait for the socket, to check their condition again.
        """
        if self._is_open():
            anyio.notify_closing(self._socket)

    async def send(self, item: bytes, /) -> None:
        """
        Write all of `item`. Does not yield to other tasks when the socket takes it at once.

        Raises:
            anyio.BrokenResourceError: The connection is broken.
            anyio.ClosedResourceError: The pipe has been closed.
        """
        await self.send_pieces([item])

    async def send_pieces(self, pieces: Sequence[bytes | memoryview], /) -> None:
        """
        Write all of several pieces, as `send`, without joining them. At most a few hundred per call.
        """
        while pieces := rest_of(pieces, self._write(pieces)):
            await self._wait(anyio.wait_writable)

    def send_now(self, pieces: Sequence[bytes | memoryview], /) -> int:
        """
        Write as much as possible without waiting; nothing when the connection is broken, which `send` will report.

        Returns:
            The number of bytes that have been written.
        """
        try:
            return self._socket.send(pieces[0]) if len(pieces) == 1 else self._socket.sendmsg(pieces)
        except OSError:
            return 0

    async def aclose(self) -> None:
        """
        Close the socket; tasks that wait for it get a ClosedResourceError.
        """
        if self._is_open():
            if self._pump is not None:
                self._pump.stop(anyio.ClosedResourceError())
            anyio.notify_closing(self._socket)
            self._socket.close()
        await checkpoint()

    def _read(self) -> bytes | memoryview | None:
        try:
            arrived = self._buffer[: self._socket.recv_into(self._buffer)]
            return arrived if len(arrived) >= LARGE else bytes(arrived)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError as error:
            raise self._failure() from error

    def _write(self, pieces: Sequence[bytes | memoryview]) -> int:
        try:
            return self._socket.send(pieces[0]) if len(pieces) == 1 else self._socket.sendmsg(pieces)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            raise self._failure() from error

    async def _wait(self, until: Callable[[socket.socket], Awaitable[None]]) -> None:
        if not self._is_open():
            raise anyio.ClosedResourceError
        try:
            await until(self._socket)
        except anyio.ClosedResourceError:  # `rouse` raises it too
            if not self._is_open():
                raise

    def _is_open(self) -> bool:
        return self._socket.fileno() >= 0

    def _failure(self) -> Exception:
        return anyio.BrokenResourceError() if self._is_open() else anyio.ClosedResourceError()


def _widen(connected: socket.socket) -> None:
    """
    Allow more bytes in flight than the system's default of 200 KiB, which three large messages fill.
    """
    if connected.family == socket.AF_UNIX:
        with suppress(OSError):  # the system allows less
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ON_ITS_WAY)


def rest_of(pieces: Sequence[bytes | memoryview], written: int) -> Sequence[bytes | memoryview]:
    """
    The rest of some pieces after `written` of their bytes have been written.
    """
    for index, piece in enumerate(pieces):
        if written < len(piece):
            return [memoryview(piece)[written:], *pieces[index + 1 :]]
        written -= len(piece)
    return ()


async def pump(pipe: BytePipe, take: Callable[[bytes | memoryview], object], hold: Hold | None = None) -> None:
    """
    Pass all bytes that arrive through a pipe to `take`, until `receive` raises (see `SocketPipe.pump`).
    """
    if isinstance(pipe, SocketPipe):
        await pipe.pump(take, hold)
    while True:
        take(await pipe.receive())
        if hold is not None and (room := hold()) is not None:
            await room()
