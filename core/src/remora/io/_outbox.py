"""
What waits to be written to a connection.

Callers put frames down and go on; one writer takes all that lies there at once and writes it in one go. So there is no
lock around a send, and a caller that is cancelled never leaves half a frame on the wire.

Where the pipe can write without waiting, the first frame after one that arrived alone goes out at once, which spares a
lone caller the way through the writer; all others of one step are written together, on asyncio by a callback of the
loop. What the socket does not take at once is the writer's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from remora.io._loop import soon, waiters
from remora.io._pipe import SocketPipe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remora.io._loop import Waiter
    from remora.io._pipe import BytePipe

_BATCH = 256 * 1024
_ROOM = 8 * 1024 * 1024
_WRITTEN = 0


class Outbox:
    """
    Frames on their way out, in order.

    Attributes:
        may_send_now: Whether the next frame is to go out at once; set when just one has arrived.
    """

    def __init__(self, pipe: BytePipe) -> None:
        self._send = pipe.send
        self._send_now = pipe.send_now if isinstance(pipe, SocketPipe) else None
        self._soon = soon() if self._send_now else None
        self._waiter = waiters()
        self.may_send_now = False
        self._is_writing = False
        self._is_flushing = False
        self._frames: dict[int, bytes] = {}
        self._rest = b""
        self._size = 0
        self._ticket = 0
        self._arrival: Waiter | None = None
        self._room: anyio.Event | None = None

    def put(self, frame: bytes) -> int:
        """
        Send a frame off.

        Returns:
            A ticket with which it can be withdrawn as long as nothing of it has been written.
        """
        if self.may_send_now and self._send_now is not None and not (self._frames or self._rest or self._is_writing):
            self.may_send_now = False
            if written := self._send_now(frame):
                if written < len(frame):
                    self._finish(frame[written:])
                return _WRITTEN
        return self._queue(frame)

    def withdraw(self, ticket: int) -> bool:
        """
        Take a frame back.

        Returns:
            Whether it was still here, so that no byte of it has been written.
        """
        frame = self._frames.pop(ticket, b"")
        self._size -= len(frame)
        return bool(frame)

    def hold(self) -> Callable[[], Awaitable[None]] | None:
        """
        What to wait for before more is read whose answers would be queued here; None while there is room.
        """
        return self._wait_for_room if self._size > _ROOM else None

    async def _wait_for_room(self) -> None:
        while self._size > _ROOM:
            self._room = self._room or anyio.Event()
            await self._room.wait()

    async def write(self) -> None:
        """
        Write what is put here, for ever, or until the pipe is broken.
        """
        while True:
            if not self._rest and (self._is_flushing or not self._frames):
                self._arrival = self._waiter()
                await self._arrival
            self._is_writing = True
            while batch := self._rest or self._take():
                self._rest = b""
                await self._send(batch)
            self._is_writing = False

    def _queue(self, frame: bytes) -> int:
        self._ticket += 1
        self._frames[self._ticket] = frame
        self._size += len(frame)
        if self._soon is None or self._rest or self._is_writing:
            self._wake()
        elif not self._is_flushing:
            self._is_flushing = True
            self._soon(self._flush)
        return self._ticket

    def _flush(self) -> None:
        """
        Write what has been queued in this step of the loop; what the socket does not take is left to the writer.
        """
        self._is_flushing = False
        if self._send_now is None or self._rest or self._is_writing:
            self._wake()
        elif batch := self._take():
            written = self._send_now(batch)
            if written < len(batch):
                self._finish(batch[written:])
            elif self._frames:
                self._wake()

    def _finish(self, rest: bytes) -> None:
        self._rest = rest
        self._wake()

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)

    def _take(self) -> bytes:
        if self._size <= _BATCH:
            taken = list(self._frames.values())
            self._frames.clear()
        else:
            taken = self._take_some()
        self._size -= sum(map(len, taken))
        self._make_room()
        return taken[0] if len(taken) == 1 else b"".join(taken)

    def _take_some(self) -> list[bytes]:
        taken: list[bytes] = []
        size = 0
        for ticket in list(self._frames):
            frame = self._frames[ticket]
            if taken and size + len(frame) > _BATCH:
                break
            taken.append(self._frames.pop(ticket))
            size += len(frame)
        return taken

    def _make_room(self) -> None:
        if self._room is not None and self._size <= _ROOM:
            self._room.set()
            self._room = None
