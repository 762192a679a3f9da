"""
A program that has a warden, and the way to that warden; what is said on it stands in `_words`.
"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from signal import SIGKILL
from typing import TYPE_CHECKING

from remora_exec._pipes import ReadPipe, WritePipe
from remora_exec._words import KILL, REAP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remora_exec._order import Order


class Line:
    """
    The way to a warden. The socket belongs to it from now on.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._reader = ReadPipe(connected.fileno())
        self._writer = WritePipe(connected.fileno())
        self._heard = b""

    async def send(self, order: Order, files: Sequence[int]) -> None:
        """
        Order a program to be started with these descriptors. A warden that is gone is found out by listening.

        Raises:
            OSError: The system has no room.
        """
        data = order.pack()
        with suppress(BrokenPipeError, ConnectionResetError):
            sent = socket.send_fds(self._socket, [data], files)
            if sent < len(data):
                await self._writer.send(data[sent:])

    def tell(self, word: bytes) -> None:
        """
        Say one word, for which there is always room.
        """
        with suppress(OSError):
            os.write(self._socket.fileno(), word)

    def hang_up(self) -> None:
        """
        Say no more, and go on listening.
        """
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    async def listen(self) -> tuple[str, int] | None:
        """
        What the warden says next; None when it is gone.
        """
        while b"\n" not in self._heard:
            data = await self._reader.receive()
            if not data:
                return None
            self._heard += data
        line, _, self._heard = self._heard.partition(b"\n")
        word, _, number = line.decode().partition(" ")
        return word, int(number)

    def close(self) -> None:
        """
        Say no more, nor listen.
        """
        self._socket.detach()
        self._reader.close()  # one descriptor, closed once


class KeptChild:
    """
    A program that has a warden.
    """

    def __init__(self, pid: int, stderr: int, line: Line, give_back: Callable[[Line], None]) -> None:
        self.pid = pid
        self.stderr = stderr
        self._line = line
        self._give_back = give_back
        self._is_free = False
        self._status = -int(SIGKILL)  # what a program gets whose warden was killed

    async def wait(self) -> None:
        """
        Wait until it has ended. It is not reaped.
        """
        if (said := await self._line.listen()) is not None:
            self._status = said[1]

    def reap(self) -> int:
        """
        Its exit status; what is left of its group is killed by now.
        """
        self._line.tell(REAP)
        return self._status

    async def gone(self) -> None:
        """
        Wait until all that it started has ended too.
        """
        while not self._is_free and (said := await self._line.listen()) is not None:
            self._is_free = said[0] == "free"

    def close(self) -> None:
        """
        Give back what is held for it; it is killed if it still runs.
        """
        if self._is_free:
            self._give_back(self._line)
            return
        self._line.tell(KILL)
        self._line.close()
