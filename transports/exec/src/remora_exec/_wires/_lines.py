"""
The writing side of JSON lines over a pipe, for both roles.

Lines are written by one task in the order in which they were added, each as a whole: a caller that is cancelled can
take its line back until its writing has begun, and never leaves half a line on the wire.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from remora_exec._pipes import WritePipe


_ROOM = 8 * 1024 * 1024


class LineQueue:
    """
    A queue of lines to be written.
    """

    def __init__(self, pipe: WritePipe) -> None:
        self._pipe = pipe
        self._lines: deque[bytes] = deque()
        self._news = anyio.Event()
        self._is_writing = False
        self._is_broken = False
        self._idle = anyio.Event()
        self._size = 0

    def add(self, line: bytes) -> None:
        """
        Queue a line.
        """
        self._lines.append(line)
        self._size += len(line)
        self._news.set()

    def withdraw(self, line: bytes) -> bool:
        """
        Take a line back.

        Returns:
            Whether it was still in the queue; otherwise it has been written, or is being written.
        """
        for index, waiting in enumerate(self._lines):
            if waiting is line:
                del self._lines[index]
                self._size -= len(line)
                return True
        return False

    async def flush(self) -> None:
        """
        Wait until all lines are written, or nobody reads them any more.
        """
        while not self._is_broken and (self._lines or self._is_writing):
            await self._idle.wait()

    async def wait_for_room(self) -> None:
        """
        Wait until there is room for more lines, or nobody reads them any more.
        """
        while self._size > _ROOM and not self._is_broken:
            await self._idle.wait()

    async def write(self) -> None:
        """
        Write lines as they come, until nobody reads them any more.
        """
        while True:
            await self._news.wait()
            data = b"".join(self._lines)
            self._lines.clear()
            self._size = 0
            self._is_writing = True
            try:
                await self._pipe.send(data)
            except OSError:
                self._is_broken = True
                return
            finally:
                self._is_writing = False
                self._settle()

    def _settle(self) -> None:
        if not self._lines:
            self._news = anyio.Event()
        self._idle.set()
        self._idle = anyio.Event()
