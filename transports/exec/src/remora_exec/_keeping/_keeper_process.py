"""
The keeper: a small process beside a host that starts the host's programs, each under a warden of its own.

What lives here: all that runs in that process. What must not: the host's side (see `_keeper`), and heavy imports.

The wardens are forks of the keeper, which is faster than an interpreter for each. The keeper adopts the orphans of a
warden, so that a program whose warden is killed leaves nothing behind either. The wardens do not need the keeper.
"""

from __future__ import annotations

import _socket  # `socket` takes half as long to import as everything else here together
import gc
import os
import select
from contextlib import suppress

from remora_exec._keeping import _kernel as kernel
from remora_exec._keeping._birth import Forked
from remora_exec._keeping._strays import Strays, children, reap
from remora_exec._keeping._warden import Warden
from remora_exec._keeping._words import READY

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import NoReturn

    from remora_exec._keeping._warden import Namesake


def main(host: int) -> NoReturn:
    """
    Run the keeper of a host, which holds the other end of descriptor 0.
    """
    keep(host, b"remora-keeper")
    os._exit(0)


def keep(
    host: int, name: bytes, places: Iterable[str] = (), *, control: int = 0, namesake: Namesake = lambda _: ""
) -> None:
    """
    Start programs until the host is gone or needs no more.

    Args:
        host: The PID of the host.
        name: What this process is called in process lists.
        places: The directories whose changes make what was loaded from them outdated.
        control: The descriptor of the socket whose other end the host holds.
        namesake: Finds in a program of Python a module that keeps it from being forked, and returns its name.

    Raises:
        Forked: This process is a fork, and is to run a program.
    """
    try:
        signals = kernel.hold_signals()
        kernel.adopt_orphans(name)
        orders = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, control)
        children()  # raises if they cannot be listed
        orders.send(b"\0".join([READY, *map(os.fsencode, places)]))
    except OSError:
        os._exit(1)  # the host starts programs in another way
    gc.disable()
    gc.freeze()
    Keeper(orders, _watch(host), signals, namesake).run()


def _watch(host: int) -> int:
    """
    A descriptor that is readable when the host is gone; -1 when the system has none, and only the end of input tells.
    """
    descriptor = -1
    with suppress(OSError):
        descriptor = os.pidfd_open(host)
    if os.getppid() != host:
        os._exit(0)
    return descriptor


class Keeper:
    """
    Forks wardens for a host, and ends the processes that lose theirs.

    Args:
        control: The socket on which the host asks for wardens: each message carries the socket to talk to one.
        host: A descriptor that is readable when the host is gone; -1 when there is none.
        signals: The signals that programs block.
        namesake: As for `keep`.
    """

    def __init__(self, control: _socket.socket, host: int, signals: kernel.Mask, namesake: Namesake) -> None:
        self._control = control
        self._host = host
        self._signals = signals
        self._namesake = namesake
        self._is_open = True
        self._wardens: set[int] = set()
        self._strays = Strays()
        self._ends = kernel.ends_of_children()
        self._poll = select.poll()
        for descriptor in (control.fileno(), host, self._ends):
            if descriptor >= 0:
                self._poll.register(descriptor, select.POLLIN)

    def run(self) -> None:
        """
        Serve until the host is gone or has closed the control socket, and no child is left.
        """
        wait: float | None = None
        while self._is_open or children():
            self._attend(wait)
            wait = self._step()

    def _attend(self, wait: float | None) -> None:
        ready = {each for each, _ in self._poll.poll(None if wait is None else int(wait * 1000) + 1)}
        if self._ends in ready:
            os.read(self._ends, 4096)
        if self._host in ready:
            self._close()
        elif self._control.fileno() in ready:
            self._take()

    def _step(self) -> float | None:
        self._wardens = {pid for pid in self._wardens if not reap(pid)}
        return self._strays.end(pid for pid in children() if pid not in self._wardens)

    def _take(self) -> None:
        try:
            data, extras, _, _ = self._control.recvmsg(1, _socket.CMSG_SPACE(4), _socket.MSG_CMSG_CLOEXEC)
        except OSError:
            data, extras = b"", []
        if not data:
            self._close()
            return
        for line in memoryview(b"".join(each for _, _, each in extras)).cast("i"):
            self._appoint(line)
            os.close(line)

    def _appoint(self, line: int) -> None:
        try:
            pid = os.fork()
        except OSError as error:
            with suppress(OSError):  # the host may have stopped waiting for it
                os.write(line, f"failed {error.errno}\n".encode())
            return
        if pid:
            self._wardens.add(pid)
            return
        try:
            self._be_warden(line)
        except Forked:
            raise
        except BaseException:  # the keeper's own affairs must not go on in a fork
            os._exit(1)
        os._exit(0)

    def _be_warden(self, line: int) -> None:
        os.setsid()
        kernel.adopt_orphans(b"remora-warden")
        self._control.close()
        os.close(self._ends)
        connected = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, line)
        Warden(connected, self._host, self._namesake).run(self._signals)

    def _close(self) -> None:
        self._is_open = False
        for descriptor in (self._control.fileno(), self._host):
            if descriptor >= 0:
                self._poll.unregister(descriptor)
        self._control.close()
        self._host = -1
