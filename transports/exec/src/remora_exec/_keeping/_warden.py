"""
The warden of one program at a time: its parent, and that of every descendant that loses its own.

What lives here: all that runs in that process. What must not: how the host asks for it (see `_keeper`).

What a host and a warden send each other over the `line`, a socket that nothing else holds:

====================  ===============================================================================================
host to warden        an order with its length, and with the descriptors of the program; later `REAP`, after which the
                      host sends the program no more signals, or `KILL`
warden to host        `started PID` or `failed ERRNO`, or `executed:NAME PID` instead of a fork that would get another
                      module NAME than its own; later `ended STATUS`, and `free 0` when no descendant is left: then
                      the next order may be sent
====================  ===============================================================================================

When the line ends before the program does, the host is gone: the program, which then reads the end of its input, has
half a second to end. Its group is killed when it ends; all other descendants are asked to end, then killed. The program
itself is reaped last, so that its PID is not reused while the host may still send signals to it.

A warden takes no order before all processes of the last one are gone, so that it knows whose the orphans are.
"""

from __future__ import annotations

import _socket
import os
import select
import time
from contextlib import suppress

from remora_exec._keeping import _kernel as kernel
from remora_exec._keeping._birth import Forked, born
from remora_exec._keeping._order import unpack
from remora_exec._keeping._strays import Strays, children, reap, signal_groups
from remora_exec._keeping._words import KILL, REAP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from remora_exec._keeping._order import Order

    Namesake = Callable[[Order], str]

_GRACE = 0.5
_MOST_FILES = 253  # the system's limit for one message


class Warden:
    """
    Starts programs one after the other, and ends all that they leave behind; in a process of its own.

    Args:
        line: The connection to the host.
        host: A descriptor that is readable when the host is gone; -1 when there is none.
        namesake: Finds in a program of Python a module that keeps it from being forked, and returns its name.
    """

    def __init__(self, line: _socket.socket, host: int, namesake: Namesake) -> None:
        self._line = line
        self._namesake = namesake
        self._outside = {each for each in (line.fileno(), host) if each >= 0}
        self._pid = 0
        self._has_ended = False
        self._is_told = False  # whether the host has sent `REAP`
        self._kill_at: float | None = None
        self._strays = Strays()
        self._ends = kernel.ends_of_children()
        self._poll = select.poll()
        for descriptor in (*self._outside, self._ends):
            self._poll.register(descriptor, select.POLLIN)

    def run(self, signals: kernel.Mask) -> None:
        """
        Start the ordered programs, each when nothing is left of the one before; return when the host is gone.
        """
        while (ordered := self._receive()) is not None:
            if self._start(*ordered, signals):
                self._keep()
            self._say("free 0")

    def _keep(self) -> None:
        wait: float | None = None
        while not (self._has_ended and self._is_told and wait is None):
            self._attend(wait)
            wait = self._step()
        reap(self._pid)

    def _receive(self) -> tuple[Order, Sequence[int]] | None:
        while self._outside and self._line.fileno() not in (ready := self._ready(None)):
            if ready & self._outside:  # the host is gone, but another process holds its end of the line
                return None
        if not self._outside:
            return None
        try:
            size, extras, _, _ = self._line.recvmsg(4, _socket.CMSG_SPACE(4 * _MOST_FILES), _socket.MSG_CMSG_CLOEXEC)
            data = self._read(int.from_bytes(size, "big")) if len(size) == 4 else b""
        except OSError:
            return None
        files = memoryview(b"".join(each for _, _, each in extras)).cast("i").tolist()
        return (unpack(data), files) if data else None

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size and (more := self._line.recv(size - len(data))):
            data += more
        return bytes(data) if len(data) == size else b""

    def _start(self, order: Order, files: Sequence[int], signals: kernel.Mask) -> bool:
        if namesake := self._namesake(order):
            order.main = None
        error = self._try(order, dict(zip((0, 1, 2, *order.descriptors), files, strict=True)), signals)
        for file in files:
            os.close(file)
        if error is not None:
            self._say(f"failed {error.errno}")
            return False
        self._has_ended = self._is_told = False
        self._kill_at = None
        self._say(f"executed:{namesake} {self._pid}" if namesake else f"started {self._pid}")
        return True

    def _try(self, order: Order, files: Mapping[int, int], signals: kernel.Mask) -> OSError | None:
        try:
            self._pid = born(order, files, signals, [*self._outside, self._ends])
        except OSError as error:
            return error
        except Forked:
            self._line.detach()  # its number may be another file's by now
            raise
        return None

    def _say(self, words: str) -> None:
        with suppress(OSError):  # the host may be gone, which is noticed elsewhere
            self._line.send(f"{words}\n".encode())

    def _attend(self, wait: float | None) -> None:
        ready = self._ready(wait)
        if self._line.fileno() in ready & self._outside:
            self._hear()
        elif ready & self._outside:
            self._lose()

    def _ready(self, wait: float | None) -> set[int]:
        ready = {each for each, _ in self._poll.poll(None if wait is None else int(wait * 1000) + 1)}
        if self._ends in ready:
            with suppress(BlockingIOError):
                os.read(self._ends, 4096)
        return ready

    def _hear(self) -> None:
        try:
            data = self._line.recv(64)
        except OSError:
            data = b""
        self._is_told |= REAP in data
        if KILL in data:
            self._kill_at = time.monotonic()
        if not data:
            self._lose()

    def _lose(self) -> None:
        for descriptor in self._outside:
            self._poll.unregister(descriptor)
        self._outside.clear()
        self._is_told = True
        if self._kill_at is None:
            self._kill_at = time.monotonic() + _GRACE

    def _step(self) -> float | None:
        others = [pid for pid in children() if pid != self._pid]
        if self._has_ended:
            return self._strays.end(others)
        for pid in others:
            reap(pid)
        if self._sees_end():
            return 0
        if self._kill_at is None:
            return None
        if (wait := self._kill_at - time.monotonic()) > 0:
            return wait
        signal_groups([self._pid], kernel.SIGKILL)
        return None

    def _sees_end(self) -> bool:
        result = os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if result is None:
            return False
        self._has_ended = True
        signal_groups([self._pid], kernel.SIGKILL)
        self._say(f"ended {result.si_status if result.si_code == os.CLD_EXITED else -result.si_status}")
        return True
