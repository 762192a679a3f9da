"""
The queue of frames to be written to a connection.

Callers queue frames and go on; all that are queued are written in one go. So there is no lock around a send, and a
caller that is cancelled never leaves half a frame on the wire.

If the pipe is a socket, the first frame after one that arrived alone is written at once, which spares a lone caller the
way through the writer; all others of one step are written together, on asyncio by a callback of the loop. What the
socket does not take is left to the writer, and on asyncio also tried again with whatever is queued next. Frames of
which no byte has been written can still be withdrawn.

A client's requests are also written when as many wait as the peer has. Otherwise both sides would work by turns: one on
all the calls, while the other waits for them.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import anyio

from remora.io._loop import soon, waiters
from remora.io._parts import parts_of, pieces_of, rest_of, size_of
from remora.io._pipe import SocketPipe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence, Sized

    from remora.io._loop import Waiter
    from remora.io._parts import Bytes
    from remora.io._pipe import BytePipe

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
        self._pipe = pipe
        self._socket = pipe if isinstance(pipe, SocketPipe) else None
        self._batch = self._socket.capacity if self._socket else _BATCH
        self._soon = soon() if self._socket else None
        self._calls = calls if self._socket else None
        self._waiter = waiters()
        self.may_send_now = False
        self._is_writing = False
        self._is_due = False
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
        if self.may_send_now and self._is_sent_now(frame):
            return
        self._frames[number or self._nameless_number()] = frame
        self._size += len(frame) if isinstance(frame, bytes) else size_of(frame)
        if self._calls is not None and 2 * len(self._frames) >= len(self._calls) and not self._is_stuck():
            self._write_now()
        elif not self._is_due:
            self._is_due = True
            self._write_soon()

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
                if self._soon is None:
                    self._is_due = False
                if not self._rest and (self._is_due or not self._frames):
                    self._arrival = self._waiter()
                    await self._arrival
                self._is_writing = True
                await self._write_all()
                self._is_writing = False
                self._tell_written()
        finally:
            self._is_given_up = True
            self._tell_written()

    async def _write_all(self) -> None:
        if self._socket is not None:
            while not self._push(self._socket.write):
                await self._socket.writable()
            return
        while frames := self._first():
            self._drop(len(frames))
            await self._pipe.send(b"".join(pieces_of(frames)))

    def _is_sent_now(self, frame: Bytes) -> bool:
        """
        Write a frame at once if none is before it; returns whether at least a part of it has been written.
        """
        self.may_send_now = False
        if self._socket is None or self._frames or self._is_writing or self._rest:
            return False
        pieces = parts_of(frame)
        written = self._socket.write_quietly(pieces)
        if not written:
            return False
        if written < sum(map(len, pieces)):
            self._rest = rest_of(pieces, written)
            self._wake()
        return True

    def _nameless_number(self) -> int:
        self._nameless -= 1
        return self._nameless

    def _is_stuck(self) -> bool:
        return self._is_writing or bool(self._rest)

    def _write_soon(self) -> None:
        """
        Have the queue written after this step of the loop: by a callback if that is cheap, else by the writer.
        """
        if self._soon is None:
            self._wake()
        else:
            self._soon(self._flush)

    def _flush(self) -> None:
        self._is_due = False
        self._write_now()

    def _write_now(self) -> None:
        """
        Write what the socket takes without waiting; what it does not take is left to the writer.
        """
        if self._socket is None or not self._push(self._socket.write_quietly):
            self._wake()
        elif not self._is_writing:
            self._tell_written()

    def _push(self, write: Callable[[Sequence[bytes | memoryview]], int]) -> bool:
        """
        Write as much as the socket takes; returns whether that was all.
        """
        while self._rest or self._frames:
            frames = self._first()
            pieces = (*self._rest, *pieces_of(frames))
            if left := sum(map(len, pieces)) - write(pieces):
                self._drop_written(frames, left)
                return False
            self._rest = ()
            self._drop(len(frames))
        return True

    def _first(self) -> list[Bytes]:
        """
        The first frames of the queue, as many as are written in one go.
        """
        if self._size <= self._batch:
            return list(self._frames.values())
        frames: list[Bytes] = []
        size = 0
        for frame in self._frames.values():
            size += size_of(frame)
            if frames and size > self._batch:
                break
            frames.append(frame)
        return frames

    def _drop_written(self, frames: list[Bytes], left: int) -> None:
        """
        Drop what has been written of the rest and these frames: all but the last `left` bytes. Frames of which nothing
        has been written stay in the queue; what is left of the one before them is the new rest.
        """
        while frames and (size := size_of(frames[-1])) <= left:
            left -= size
            frames.pop()
        begun = parts_of(frames[-1]) if frames else self._rest
        self._rest = rest_of(begun, sum(map(len, begun)) - left)
        self._drop(len(frames))

    def _drop(self, count: int) -> None:
        """
        Drop the first frames of the queue.
        """
        if count == len(self._frames):
            self._frames.clear()
            self._size = 0
        else:
            for number in list(islice(self._frames, count)):
                self._size -= size_of(self._frames.pop(number))
        if self._room is not None and self._size <= _ROOM:
            self._room.set()
            self._room = None

    def _tell_written(self) -> None:
        if self._written is not None:
            self._written.set()
            self._written = None

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
