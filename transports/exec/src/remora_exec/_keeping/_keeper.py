"""
The host's side of the keeper (see `_keeper_process`), which lets no descendant of a program outlive it or the host.

A program's descendants are found wherever they have gone, even into sessions of their own, because the parent of each
program is a child subreaper: the system gives it every descendant that loses its own parent. This parent, the warden,
ends them when the program has ended or is stopped, or when the host is gone, for whatever reason. It cannot be the
host, which would adopt the orphans of everything else that its application starts, and which may be killed. What was
considered (times on two cores):

- An interpreter between the host and each program: 11 ms and 5 MB of memory per program.
- One interpreter for all, the keeper, whose forks are the wardens (chosen): 11 ms and 4.5 MB for the first program of
  a host, then 1 ms and 0.7 MB for each more. A warden whose program is gone is kept for the next one of its channel,
  which saves `oneshot` a second fork per call.
- `preexec_fn`, or the host as a subreaper for a moment: the flag is the process's, and children do not inherit it.
- bwrap with a process namespace does the same (`sandbox`), if it is installed and user namespaces are allowed.
- A control group: needs privileges, or a service manager that delegates one.

The keeper also sets limits and denies privileges before a program runs. It ends with the last channel of its host.
When it is killed, the wardens continue without it, and the next start launches another keeper. Where it cannot run (a
system other than Linux, a frozen application, no ctypes), `_groups` is used instead.

A fork server is a keeper that the interpreter of the plugins runs (see `_forkserver_process`); a host has one for each
interpreter that it needs.
"""

from __future__ import annotations

import errno
import os
import resource
import socket
import threading
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

from remora_exec._keeping._groups import wait_for_exit
from remora_exec._keeping._keeper_launch import KeeperLost, launch

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence

    from remora_exec._keeping._python import Interpreter

END_TIMEOUT = 2.0
"""Seconds that a keeper, or a warden, gets to end."""

_LOST = (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.EBADF, errno.EAGAIN)
_LIMITS = (
    resource.RLIMIT_AS, resource.RLIMIT_CORE, resource.RLIMIT_CPU, resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC,
)  # fmt: skip


class Keeper:
    """
    A running keeper.

    Attributes:
        interpreter: What its forks run programs with; None when it executes them.
        users: How many channels use it.
        is_lost: Whether it has failed to do what it was asked.
    """

    def __init__(
        self,
        popen: subprocess.Popen[bytes],
        control: socket.socket,
        places: Sequence[str],
        interpreter: Interpreter | None,
    ) -> None:
        self.interpreter = interpreter
        self.users = 0
        self.is_lost = False
        self.popen = popen
        self.control = control
        self._host = _identity()
        self._places = places
        self._versions = _versions(places)

    @property
    def is_usable(self) -> bool:
        """
        Whether the programs that it starts would be the same as if this process had started them.
        """
        if self.is_lost or self._host != _identity() or self._versions != _versions(self._places):
            return False
        return self.popen.poll() is None

    def appoint(self, line: socket.socket) -> None:
        """
        Have it fork a warden, at the other end of `line`.

        Raises:
            OSError: The system lacks resources.
            KeeperLost: It has ended, or has not done what it was asked for a long time.
        """
        try:
            socket.send_fds(self.control, [b"w"], [line.fileno()])
        except OSError as error:
            if error.errno in _LOST:
                raise KeeperLost from error
            raise


def _identity() -> tuple[object, ...]:
    return os.getpid(), os.getresuid(), os.getresgid(), os.getgroups(), *map(resource.getrlimit, _LIMITS)


def _versions(places: Sequence[str]) -> list[int]:
    """
    Numbers that change when a package is installed or removed.
    """
    return [os.stat(each).st_mtime_ns for each in places if os.path.isdir(each)]


_lock = threading.Lock()
_starting: defaultdict[Interpreter | None, threading.Lock] = defaultdict(threading.Lock)  # never held by an event loop
_keepers: list[Keeper] = []


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    _starting.clear()
    for keeper in _keepers:
        keeper.control.close()
    _keepers.clear()


os.register_at_fork(after_in_child=_after_fork)


def shared(interpreter: Interpreter | None) -> Keeper | None:
    """
    The keeper that is running already; None when there is none.
    """
    with _lock:
        keeper = next((each for each in _keepers if each.interpreter == interpreter and each.is_usable), None)
        if keeper is not None:
            keeper.users += 1
        return keeper


def is_running(interpreter: Interpreter | None) -> bool:
    """
    Whether there is a keeper that `shared` would bring.
    """
    with _lock:
        return any(each.interpreter == interpreter and each.is_usable for each in _keepers)


def acquire(interpreter: Interpreter | None) -> Keeper:
    """
    A keeper, to be let go or released after use. It may take long until it is ready.

    Raises:
        KeeperLost: None can run here.
        ConfigError: The interpreter cannot be a fork server.
        Unavailable: The system lacks resources for another process.
    """
    with _lock:
        starting = _starting[interpreter]
    with starting:
        if (keeper := shared(interpreter)) is None:
            keeper = Keeper(*launch(interpreter), interpreter)
            keeper.users = 1
            with _lock:
                _keepers.append(keeper)
        return keeper


def let_go(keeper: Keeper) -> None:
    """
    Give a keeper back; it ends when nobody else uses it.
    """
    if _is_last_use(keeper):
        _await_end(keeper.popen)


async def release(keeper: Keeper) -> None:
    """
    The same, and wait a little until it has ended.
    """
    if _is_last_use(keeper) and keeper.popen.poll() is None:
        with anyio.move_on_after(END_TIMEOUT, shield=True):
            await wait_for_exit(keeper.popen.pid)
        _await_end(keeper.popen)


def _is_last_use(keeper: Keeper) -> bool:
    with _lock:
        keeper.users -= 1
        if keeper.users:
            return False
        if keeper in _keepers:
            _keepers.remove(keeper)
    with suppress(OSError):  # a fork of this process may have a copy
        keeper.control.shutdown(socket.SHUT_RDWR)
    keeper.control.close()
    return True


def _await_end(popen: subprocess.Popen[bytes]) -> None:
    """
    Reap a process, in a thread if it has not ended yet: its programs may run for long.
    """
    if popen.poll() is None:
        with suppress(RuntimeError):  # too many threads; `subprocess` reaps it before it starts another process
            threading.Thread(target=popen.wait, name="remora-reaper", daemon=True).start()
