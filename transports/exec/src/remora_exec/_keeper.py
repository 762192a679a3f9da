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
"""

from __future__ import annotations

import errno
import logging
import os
import resource
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from remora.errors import Unavailable
from remora_exec._groups import wait_for_exit, watching_groups
from remora_exec._kept import KeptChild, Line
from remora_exec._pipes import having_room
from remora_exec._words import KILL, READY, REAP

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from remora_exec._child import Starter
    from remora_exec._order import Order

_logger = logging.getLogger(__name__.replace("_", ".", 1))

_PROGRAM = (
    "import sys; sys.path.append(sys.argv[1]); from remora_exec._keeper_process import main; main(int(sys.argv[2]))"
)
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_VARIABLES = ("PATH", "LD_LIBRARY_PATH")
_START_TIMEOUT = 10.0
_END_TIMEOUT = 2.0
_MOST_IDLE = 8
_LOST = (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.EBADF)
_LIMITS = (
    resource.RLIMIT_AS, resource.RLIMIT_CORE, resource.RLIMIT_CPU, resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC,
)  # fmt: skip


def _interpreter() -> str:
    # In a frozen application, or one that embeds Python, this is the application itself.
    path = sys.executable or ""
    is_one = os.path.basename(path).startswith(("python", "pypy")) and not getattr(sys, "frozen", False)
    return path if is_one else ""


KEEPS_DESCENDANTS = (
    sys.platform == "linux"
    and find_spec("_ctypes") is not None
    and _interpreter() != ""
    and os.path.exists("/proc/self/stat")  # descendants are found there
)
"""Whether all descendants can be found and ended, as far as can be told without trying."""


class _KeeperLost(Exception):
    """
    The keeper has ended, or could not be used.
    """


class _Keeper:
    """
    A running keeper.

    Attributes:
        users: How many channels use it.
        is_lost: Whether it has failed to do what it was asked.
    """

    def __init__(self, popen: subprocess.Popen[bytes], control: socket.socket) -> None:
        self.users = 0
        self.is_lost = False
        self.popen = popen
        self.control = control
        self._host = _identity()

    @property
    def is_usable(self) -> bool:
        """
        Whether the programs that it starts would be the same as if this process had started them.
        """
        return not self.is_lost and self._host == _identity() and self.popen.poll() is None

    def appoint(self, line: socket.socket) -> None:
        """
        Have it fork a warden, at the other end of `line`.

        Raises:
            OSError: The system lacks resources.
            _KeeperLost: It has ended.
        """
        try:
            socket.send_fds(self.control, [b"w"], [line.fileno()])
        except OSError as error:
            if error.errno in _LOST or isinstance(error, TimeoutError):
                raise _KeeperLost from error
            raise


def _identity() -> tuple[object, ...]:
    return os.getpid(), os.getresuid(), os.getresgid(), os.getgroups(), *map(resource.getrlimit, _LIMITS)


_lock = threading.Lock()
_starting = threading.Lock()  # held for milliseconds, and never in an event loop's thread
_keepers: list[_Keeper] = []
_ending: list[subprocess.Popen[bytes]] = []


def _after_fork() -> None:
    global _lock, _starting
    _lock, _starting = threading.Lock(), threading.Lock()
    for keeper in _keepers:
        keeper.control.close()
    _keepers.clear()


os.register_at_fork(after_in_child=_after_fork)


def _shared() -> _Keeper | None:
    """
    The keeper that is running already; None when there is none.
    """
    with _lock:
        keeper = next((each for each in _keepers if each.is_usable), None)
        if keeper is not None:
            keeper.users += 1
        return keeper


def _acquire() -> _Keeper:
    with _starting:
        if (keeper := _shared()) is None:
            keeper = _launched()
            keeper.users = 1
            with _lock:
                _keepers.append(keeper)
        return keeper


def _launched() -> _Keeper:
    with having_room():
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs, ExitStack() as stack:
        stack.enter_context(ours)
        popen = _run(theirs.fileno())
        theirs.close()
        ours.settimeout(_START_TIMEOUT)
        if not _is_ready(ours):
            popen.kill()
            popen.wait()
            raise _KeeperLost
        stack.pop_all()
        return _Keeper(popen, ours)


def _is_ready(control: socket.socket) -> bool:
    try:
        return control.recv(len(READY)) == READY
    except OSError:
        return False


def _run(control: int) -> subprocess.Popen[bytes]:
    null = subprocess.DEVNULL
    variables = {name: value for name in _VARIABLES if (value := os.environ.get(name)) is not None}
    try:
        return subprocess.Popen(
            [_interpreter(), "-I", "-S", "-c", _PROGRAM, _ROOT, str(os.getpid()), "remora-keeper"],
            stdin=control, stdout=null, stderr=null, cwd="/", env=variables, start_new_session=True,
        )  # fmt: skip
    except (FileNotFoundError, PermissionError) as error:
        raise _KeeperLost from error
    except OSError as error:
        raise Unavailable(f"no process can be started: {error.strerror}", sent=False) from error


async def _release(keeper: _Keeper) -> None:
    with _lock:
        keeper.users -= 1
        if keeper.users:
            return
        if keeper in _keepers:
            _keepers.remove(keeper)
    keeper.control.close()
    if keeper.popen.poll() is None:
        with anyio.move_on_after(_END_TIMEOUT, shield=True):
            await wait_for_exit(keeper.popen.pid)
    with _lock:
        _ending[:] = [each for each in (*_ending, keeper.popen) if each.poll() is None]


class _KeptStarter:
    """
    Starts programs, each with a warden of the keeper.
    """

    def __init__(self, keeper: _Keeper) -> None:
        self.keeper = keeper
        self._idle: list[Line] = []

    async def start(self, order: Order, *, stdin: int, stdout: int) -> KeptChild:
        """
        A child process with these descriptors as its standard input and output.

        Raises:
            OSError: The program cannot be run.
            Unavailable: The system lacks resources for another process.
        """
        while self._idle and self.keeper.is_usable:
            with suppress(_KeeperLost):  # only this warden is lost
                return await self._try(self._idle.pop, order, stdin, stdout)
        for _ in range(2):
            if not self.keeper.is_usable:
                await self._replace()
            keeper = self.keeper  # another start may replace it meanwhile
            with suppress(_KeeperLost):
                return await self._try(self._appoint, order, stdin, stdout)
            keeper.is_lost = True
        raise Unavailable("the keeper of processes was killed", sent=False)

    def dismiss(self) -> None:
        """
        End the wardens that have no program.
        """
        while self._idle:
            self._idle.pop().close()

    async def _try(self, find: Callable[[], Line], order: Order, stdin: int, stdout: int) -> KeptChild:
        reading, writing = os.pipe()
        try:
            line, keeper = find(), self.keeper
            pid = await _started(line, order, (stdin, stdout, writing, *order.descriptors))
            return KeptChild(pid, reading, line, partial(self._take_back, keeper))
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)

    def _take_back(self, keeper: _Keeper, line: Line) -> None:
        if keeper is self.keeper and keeper.is_usable and len(self._idle) < _MOST_IDLE:
            self._idle.append(line)
        else:
            line.close()

    async def _replace(self) -> None:
        self.dismiss()  # without the keeper nothing would adopt the orphans of these wardens
        if (keeper := await _hired()) is None:
            raise Unavailable("the keeper of processes cannot be started any more", sent=False)
        before, self.keeper = self.keeper, keeper
        await _release(before)

    def _appoint(self) -> Line:
        ours, theirs = socket.socketpair()
        with theirs, ExitStack() as stack:
            stack.enter_context(ours)
            self.keeper.appoint(theirs)
            stack.pop_all()
            return Line(ours)


async def _started(line: Line, order: Order, files: Sequence[int]) -> int:
    try:
        with anyio.move_on_after(_START_TIMEOUT):
            await line.send(order, files)
            word, number = await line.listen()
            if word == "lost":
                raise _KeeperLost
            if word == "failed":
                raise OSError(number, os.strerror(number))
            return number
        raise Unavailable("the keeper of processes does not answer", sent=False)
    except BaseException:
        line.tell(KILL + REAP)
        line.hang_up()  # the rest of the order is not sent
        with anyio.move_on_after(_END_TIMEOUT, shield=True):  # the program may have started nevertheless
            while (await line.listen())[0] not in {"free", "lost"}:
                pass
        line.close()
        raise


_is_warned = False


async def _hired() -> _Keeper | None:
    """
    A keeper; None when none can run.
    """
    global _is_warned
    if (keeper := _shared()) is not None:
        return keeper
    try:
        return await anyio.to_thread.run_sync(_acquire)
    except _KeeperLost:
        if not _is_warned:
            _logger.warning("what leaves the process group of a plugin may outlive it: %s keeps none", sys.executable)
        _is_warned = True
        return None


@asynccontextmanager
async def keeping() -> AsyncIterator[Starter]:
    """
    A starter whose children end with this process; it can be used while the context lasts.

    Raises:
        Unavailable: The system lacks resources for another process.
    """
    keeper = await _hired() if KEEPS_DESCENDANTS and not _is_warned else None
    if keeper is None:
        with watching_groups() as groups:
            yield groups
        return
    starter = _KeptStarter(keeper)
    try:
        yield starter
    finally:
        starter.dismiss()
        await _release(starter.keeper)
