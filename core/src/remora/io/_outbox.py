"""
The queue of frames to be written to a connection.

Callers queue frames and go on; one writer takes all that are queued and writes them in one go. So there is no lock
around a send, and a caller that is cancelled never leaves half a frame on the wire.

If the pipe can write without waiting, the first frame after one that arrived alone is written at once, which spares a
lone caller the way through the writer; all others of one step are written together, on asyncio by a callback of the
loop. What the socket does not take at once is left to the writer.

A client's requests are also written when as many wait as the peer has. Otherwise both sides would work by turns: one on
all the calls, while the other waits for them.

A large frame comes in parts, which are never joined if the pipe takes several pieces at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from remora.io._loop import soon, waiters
from remora.io._pipe import SocketPipe, rest_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence, Sized

    from remora.io._loop import Waiter
    from remora.io._pipe import BytePipe

    Bytes = bytes | tuple[bytes, bytes, bytes]
    """The bytes of a message or a frame, whole or in parts, of which the second is large and the others small."""

_BATCH = 256 * 1024
_ROOM = 8 * 1024 * 1024


class Outbox:
    """
    Frames on their way out, in order.

    Attributes:
        may_send_now: Whether the next frame is to go out at once; set when just one has arrived.
    """

    def __init__(self, pipe: BytePipe, calls: Sized | None = None) -> None:
        """
        Args:
            pipe: Where the frames go.
            calls: A client's calls in flight, those included whose frames are still in the queue.
        """
        self._send = pipe.send_pieces if isinstance(pipe, SocketPipe) else _joining(pipe.send)
        self._send_now = pipe.send_now if isinstance(pipe, SocketPipe) else None
        self._soon = soon() if self._send_now else None
        self._waiter = waiters()
        self._calls = calls if self._send_now else None
        self.may_send_now = False
        self._is_writing = False
        self._is_flushing = False
        self._frames: dict[int, Bytes] = {}
        self._rest: Sequence[bytes | memoryview] = ()
        self._size = 0
        self._nameless = 0
        self._arrival: Waiter | None = None
        self._room: anyio.Event | None = None
        self._is_given_up = False
        self._written: anyio.Event | None = None

    def put(self, frame: Bytes, number: int = 0) -> None:
        """
        Queue a frame, or write it at once.

        Args:
            frame: Its bytes, or its parts.
            number: The number for `withdraw`; 0 when it is never withdrawn.
        """
        if not (self.may_send_now and self._is_sent_now(frame)):
            self._queue(frame, number)

    def withdraw(self, number: int) -> bool:
        """
        Take a frame back.

        Returns:
            Whether it was still in the queue, so that no byte of it has been written.
        """
        frame = self._frames.pop(number, b"")
        self._size -= size_of(frame)
        return bool(frame)

    def hold(self) -> Callable[[], Awaitable[None]] | None:
        """
        What to await before reading more requests whose answers would be queued here; None while there is room.
        """
        return self._wait_for_room if self._size > _ROOM else None

    async def _wait_for_room(self) -> None:
        while self._size > _ROOM:
            self._room = self._room or anyio.Event()
            await self._room.wait()

    async def settle(self) -> None:
        """
        Wait until the queue has been written, or nothing is written any more.
        """
        while (self._frames or self._rest or self._is_writing) and not self._is_given_up:
            self._written = self._written or anyio.Event()
            await self._written.wait()

    async def write(self) -> None:
        """
        Write what is queued, until the pipe breaks.
        """
        try:
            while True:
                if not self._rest and (self._is_flushing or not self._frames):
                    self._arrival = self._waiter()
                    await self._arrival
                self._is_writing = True
                while batch := self._rest or self._take():
                    self._rest = ()
                    await self._send(batch)
                self._is_writing = False
                self._tell_written()
        finally:
            self._is_given_up = True
            self._tell_written()

    def _is_sent_now(self, frame: Bytes) -> bool:
        """
        Write a frame at once if none is before it; returns whether at least a part of it has been written.
        """
        self.may_send_now = False
        if self._send_now is None or self._frames or self._rest or self._is_writing:
            return False
        pieces = (frame,) if isinstance(frame, bytes) else frame
        written = self._send_now(pieces)
        if 0 < written < size_of(frame):
            self._finish(rest_of(pieces, written))
        return written > 0

    def _queue(self, frame: Bytes, number: int) -> None:
        if not number:
            number = self._nameless = self._nameless - 1
        self._frames[number] = frame
        self._size += len(frame) if isinstance(frame, bytes) else size_of(frame)
        if self._calls is not None and 2 * len(self._frames) >= len(self._calls):
            self._write_now()
        elif self._is_flushing:
            return
        elif self._soon is None or self._rest or self._is_writing:
            self._wake()
        else:
            self._is_flushing = True
            self._soon(self._flush)

    def _flush(self) -> None:
        """
        Write what has been queued in this step of the loop.
        """
        self._is_flushing = False
        self._write_now()

    def _write_now(self) -> None:
        """
        Write what is queued; what the socket does not take at once is left to the writer.
        """
        if self._send_now is None or self._rest or self._is_writing:
            self._wake()
        elif batch := self._take():
            if rest := rest_of(batch, self._send_now(batch)):
                self._finish(rest)
            elif self._frames:
                self._wake()
            else:
                self._tell_written()

    def _finish(self, rest: Sequence[bytes | memoryview]) -> None:
        self._rest = rest
        self._wake()

    def _tell_written(self) -> None:
        if self._written is not None:
            self._written.set()
            self._written = None

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def _take(self) -> Sequence[bytes]:
        if self._size <= _BATCH:
            taken = list(self._frames.values())
            self._frames.clear()
            self._size = 0
        else:
            taken = self._take_some()
        self._make_room()
        return _pieces(taken)

    def _take_some(self) -> list[Bytes]:
        """
        The first frames of the queue, as many as are written in one go.
        """
        taken: list[Bytes] = []
        size = 0
        for number in list(self._frames):
            frame = self._frames[number]
            if taken and size + size_of(frame) > _BATCH:
                break
            taken.append(self._frames.pop(number))
            size += size_of(frame)
        self._size -= size
        return taken

    def _make_room(self) -> None:
        if self._room is not None and self._size <= _ROOM:
            self._room.set()
            self._room = None


def size_of(frame: Bytes) -> int:
    """
    The number of bytes of a frame.
    """
    return len(frame) if isinstance(frame, bytes) else sum(map(len, frame))


def _pieces(frames: Sequence[Bytes]) -> Sequence[bytes]:
    """
    The bytes of some frames in few pieces.
    """
    if not frames:
        return ()
    try:
        return (b"".join(frames),)  # type: ignore[arg-type]
    except TypeError:  # some are in parts
        return _apart(frames)


def _apart(frames: Sequence[Bytes]) -> Sequence[bytes]:
    """
    Large pieces alone, and the small ones between them joined.
    """
    pieces: list[bytes] = []
    small: list[bytes] = []
    for frame in frames:
        if isinstance(frame, bytes):
            small.append(frame)
        else:
            head, payload, tail = frame
            pieces += b"".join((*small, head)), payload
            small = [tail]
    if small:
        pieces.append(b"".join(small))
    return pieces


def _joining(send: Callable[[bytes], Awaitable[None]]) -> Callable[[Sequence[bytes | memoryview]], Awaitable[None]]:
    return lambda pieces: send(b"".join(pieces))
