"""
A program that has a warden, and the connection to that warden, whose messages are defined in `_words`.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from signal import SIGKILL
from typing import TYPE_CHECKING

import anyio

from remora_exec._keeping._words import KILL, REAP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remora_exec._keeping._order import Order


LAST_WORDS = {"free", "lost"}
"""What a warden says at the end: that it can keep another program, or, said in its place, that it is gone."""


class Line:
    """
    The connection to a warden. It owns the socket, and closes it.
    """

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        self._socket = connected
        self._heard = b""

    def fileno(self) -> int:
        """
        A descriptor that is readable when the warden says something, or is gone.
        """
        return self._socket.fileno()

    async def send(self, order: Order, files: Sequence[int]) -> None:
        """
        Order a program to be started with these descriptors. Only `listen` reports that the warden is gone.

        Raises:
            OSError: The system lacks resources.
        """
        data = order.pack()
        with suppress(BrokenPipeError, ConnectionResetError):
            data = data[socket.send_fds(self._socket, [data], files) :]
            while data:
                await anyio.wait_writable(self._socket)
                data = data[self._socket.send(data) :]

    def tell(self, word: bytes) -> None:
        """
        Send one short word, for which the socket always has room.
        """
        with suppress(OSError):
            self._socket.send(word)

    def hang_up(self) -> None:
        """
        Send no more; `listen` still works.
        """
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    async def listen(self) -> tuple[str, int]:
        """
        Wait for the warden's next word, with its number.
        """
        while (said := self.heard()) is None:
            await anyio.wait_readable(self._socket)
        return said

    def heard(self) -> tuple[str, int] | None:
        """
        The same without waiting; None when there is none yet, `lost 0` when the warden is gone.
        """
        if b"\n" not in self._heard:
            try:
                data = self._socket.recv(64)
            except BlockingIOError:
                return None
            except OSError:
                data = b""
            self._heard = self._heard + data if data else b"lost 0\n"
        line, end, rest = self._heard.partition(b"\n")
        if not end:
            return None
        self._heard = rest
        word, _, number = line.decode().rpartition(" ")
        return word, int(number)

    def close(self) -> None:
        """
        Close the connection, also for copies of this process.
        """
        self.hang_up()
        self._socket.close()


class KeptChild:
    """
    A running program that has a warden.

    Attributes:
        namesake: The module of its own for which it was not forked, but executed; empty if there is none.
    """

    def __init__(
        self, pid: int, stderr: int, line: Line, give_back: Callable[[Line], None], *, namesake: str = ""
    ) -> None:
        self.pid = pid
        self.namesake = namesake
        self.stderr = stderr
        self._line = line
        self._give_back = give_back
        self.exit_status: int | None = None
        self._status: int | None = None
        self._word = ""  # the latest of the warden

    def fileno(self) -> int:
        """
        A descriptor that is readable when the warden says something.
        """
        return self._line.fileno()

    def has_ended(self) -> bool:
        """
        Whether the program has ended, as far as is known now. It is not reaped yet.
        """
        if self._status is None and (said := self._line.heard()) is not None:
            self._word, self._status = said
            if self._word == "lost":  # the warden was killed, and the program with it
                self._status = -int(SIGKILL)
        return self._status is not None

    def reap(self) -> None:
        """
        Have it reaped. What was left of its process group has been killed by now.
        """
        self._line.tell(REAP)
        self.exit_status = self._status

    async def gone(self) -> None:
        """
        Wait until all of its descendants have ended too.
        """
        while self._word not in LAST_WORDS:
            self._word, _ = await self._line.listen()

    def close(self) -> None:
        """
        Release what is held for it; it is killed if it is still running.
        """
        if self._word == "free":
            self._give_back(self._line)
            return
        self._line.tell(KILL)
        self._line.close()
