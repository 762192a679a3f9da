"""
A program that has a warden, and the connection to that warden, whose messages are defined in `_words`.
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
    The connection to a warden. It owns the socket, and closes it.
    """

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._reader = ReadPipe(connected.fileno())
        self._writer = WritePipe(connected.fileno())
        self._heard = b""

    async def send(self, order: Order, files: Sequence[int]) -> None:
        """
        Order a program to be started with these descriptors. Only `listen` reports that the warden is gone.

        Raises:
            OSError: The system lacks resources.
        """
        data = order.pack()
        with suppress(BrokenPipeError, ConnectionResetError):
            sent = socket.send_fds(self._socket, [data], files)
            if sent < len(data):
                await self._writer.send(data[sent:])

    def tell(self, word: bytes) -> None:
        """
        Send one short word, for which the socket always has room.
        """
        with suppress(OSError):
            os.write(self._socket.fileno(), word)

    def hang_up(self) -> None:
        """
        Send no more; `listen` still works.
        """
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    async def listen(self) -> tuple[str, int] | None:
        """
        The warden's next word, with its number; None when the warden is gone.
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
        Close the connection.
        """
        self._socket.detach()
        self._reader.close()  # reader and socket share one descriptor


class KeptChild:
    """
    A running program that has a warden.
    """

    def __init__(self, pid: int, stderr: int, line: Line, give_back: Callable[[Line], None]) -> None:
        self.pid = pid
        self.stderr = stderr
        self._line = line
        self._give_back = give_back
        self._is_free = False
        self._status = -int(SIGKILL)  # the status when the warden was killed, and the program with it

    async def wait(self) -> None:
        """
        Wait until the program has ended. It is not reaped yet.
        """
        if (said := await self._line.listen()) is not None:
            self._status = said[1]

    def reap(self) -> int:
        """
        Have it reaped, and return its exit status. What was left of its process group has been killed by now.
        """
        self._line.tell(REAP)
        return self._status

    async def gone(self) -> None:
        """
        Wait until all of its descendants have ended too.
        """
        while not self._is_free and (said := await self._line.listen()) is not None:
            self._is_free = said[0] == "free"

    def close(self) -> None:
        """
        Release what is held for it; it is killed if it is still running.
        """
        if self._is_free:
            self._give_back(self._line)
            return
        self._line.tell(KILL)
        self._line.close()
