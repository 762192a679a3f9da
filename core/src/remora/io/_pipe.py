"""
The byte stream that a connection needs, and an implementation of it over a socket.

On asyncio, anyio's stream over a Unix socket reports an error to the loop when a pending read is cancelled just as its
peer closes. `SocketPipe` waits with `anyio.wait_readable`, which does not.

All pipes of a thread read into one shared buffer; what arrives must be taken from it before the next read.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Protocol

import anyio
from anyio.lowlevel import checkpoint

from remora.io._landing import ROOM, ROOM_FOR_LARGE, landing
from remora.io._loop import runs_on_trio
from remora.io._parts import rest_of
from remora.wire import LARGE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from remora.io._asyncio import Pump

    Take = Callable[[bytes | memoryview], int | None]
    """Takes bytes that have arrived; many are a view that is valid until it returns. It may return how many to read at
    most the next time (see `remora.io._landing.next_room`)."""

    Hold = Callable[[], Callable[[], Awaitable[None]] | None]
    """None while reading may go on; else a function to call and await before it does."""

_ON_ITS_WAY = 1024 * 1024


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
        self._buffer = landing(ROOM_FOR_LARGE)
        self._may_hold_more = False
        self.capacity: int = connected.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        self._pump: Pump | None = None

    async def receive(self) -> bytes:
        """
        The next bytes, as many as have arrived.

        Raises:
            anyio.EndOfStream: The peer has closed its side.
            anyio.BrokenResourceError: The connection is broken.
            anyio.ClosedResourceError: The pipe has been closed.
        """
        self._buffer = landing(ROOM_FOR_LARGE)  # of this thread, which may not have created the pipe
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

    async def pump(self, take: Take, hold: Hold | None = None) -> None:
        """
        Pass all bytes that arrive to `take`, instead of returning them from `receive`, until the connection ends.

        Args:
            take: Called with them.
            hold: Called after each time; what it returns is called and awaited before more is read.

        Raises:
            anyio.EndOfStream: The peer has closed its side.
            anyio.BrokenResourceError: The connection is broken.
            anyio.ClosedResourceError: The pipe has been closed.
        """
        if not self._is_open():
            raise anyio.ClosedResourceError
        self._buffer = landing(ROOM_FOR_LARGE)  # of this thread, which may not have created the pipe
        if runs_on_trio():
            from remora.io import _trio

            await _trio.pump(self._socket, self._read, take, hold)
            return
        from remora.io._asyncio import Pump

        self._pump = Pump(self._socket.fileno(), self._read, take, hold)
        await self._pump.run()

    def lone_reader(self) -> Callable[[], Awaitable[bytes | memoryview | None]]:
        """
        A function that returns the next bytes, on trio, while nobody else reads; None after `rouse`. Many bytes are a
        view, as in `pump`. It raises the same errors.
        """
        from remora.io._trio import next_bytes

        return partial(next_bytes, self._socket, self._read)

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
        pieces: Sequence[bytes | memoryview] = [item]
        while pieces := rest_of(pieces, self.write(pieces)):
            await self.writable()

    def write(self, pieces: Sequence[bytes | memoryview], /) -> int:
        """
        Write as much of several pieces as possible without waiting and without joining them. At most a few hundred.

        Returns:
            The number of bytes that have been written.

        Raises:
            anyio.BrokenResourceError: The connection is broken.
            anyio.ClosedResourceError: The pipe has been closed.
        """
        try:
            return self._socket.send(pieces[0]) if len(pieces) == 1 else self._socket.sendmsg(pieces)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            raise self._failure() from error

    def write_quietly(self, pieces: Sequence[bytes | memoryview], /) -> int:
        """
        The same, but writes nothing when the connection is broken, which the next `write` will report.
        """
        try:
            return self._socket.send(pieces[0]) if len(pieces) == 1 else self._socket.sendmsg(pieces)
        except OSError:
            return 0

    async def writable(self) -> None:
        """
        Wait until more can be written.

        Raises:
            anyio.ClosedResourceError: The pipe has been closed.
        """
        await self._wait(anyio.wait_writable)

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

    def _read(self, room: int = ROOM) -> bytes | memoryview | None:
        try:
            arrived = self._buffer[: self._socket.recv_into(self._buffer, room)]
            return arrived if len(arrived) >= LARGE else bytes(arrived)
        except (BlockingIOError, InterruptedError):
            return None
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


async def pump(pipe: BytePipe, take: Take, hold: Hold | None = None) -> None:
    """
    Pass all bytes that arrive through a pipe to `take`, until `receive` raises (see `SocketPipe.pump`).
    """
    if isinstance(pipe, SocketPipe):
        await pipe.pump(take, hold)
    while True:
        take(await pipe.receive())
        if hold is not None and (room := hold()) is not None:
            await room()
