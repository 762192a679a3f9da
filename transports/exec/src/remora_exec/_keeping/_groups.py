"""
The second best way to end children with their host, for systems without the best one (see `_keeper`).

Children are the host's own. Beside it runs a shell, which costs next to nothing and needs only POSIX; it reads the
process groups to watch from a pipe whose other end only the host holds. When the host is gone, for whatever reason, the
pipe ends; the shell waits half a second for the children to end at end of input, then kills what is left of the
groups. A process that leaves its group escapes.

Between the start of a child and its registration there are some ten microseconds in which a killed host leaves a child
behind that has read nothing yet; it ends at end of input, unless it ignores that.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
from contextlib import contextmanager, suppress
from functools import partial
from typing import IO, TYPE_CHECKING

import anyio

from remora.errors import Unavailable
from remora_exec._keeping._limits import limit_process
from remora_exec._keeping._privileges import without_new_privileges

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remora_exec._keeping._order import Order

_logger = logging.getLogger(__name__.replace("_", ".", 1))

_PAUSES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
_SHELL = "/bin/sh"
_SCRIPT = """
trap '' HUP INT QUIT TERM
groups=
while read -r sign group; do
  case $sign in
    +) groups="$groups $group" ;;
    -) kept=; for one in $groups; do [ "$one" = "$group" ] || kept="$kept $one"; done; groups=$kept ;;
  esac
done
[ -n "$groups" ] || exit 0
sleep 0.5 || sleep 1
for one in $groups; do kill -s KILL -- "-$one"; done
"""


class GroupWatch:
    """
    The process groups that must not outlive this process.
    """

    def __init__(self, pipe: int | None) -> None:
        self._pipe = pipe

    def add(self, group: int) -> None:
        """
        End a group when the host is gone.
        """
        self._tell(f"+ {group}\n")

    def forget(self, group: int) -> None:
        """
        Stop watching a group: it has ended, and its number may be reused.
        """
        self._tell(f"- {group}\n")

    def _tell(self, line: str) -> None:
        if self._pipe is None:
            return
        try:
            os.write(self._pipe, line.encode())
        except OSError as error:
            _logger.warning("children are no longer ended if this process is killed: the keeper is gone (%s)", error)
            self._pipe = None


class OwnChild:
    """
    A direct child of this process.

    Args:
        popen: The child.
        end: A descriptor that is readable when it has ended, closed here.
        watch: The groups that are watched.
    """

    def __init__(self, popen: subprocess.Popen[bytes], end: int, watch: GroupWatch) -> None:
        self.pid = popen.pid
        self.exit_status: int | None = None
        self._end = end
        self.stderr = _detach(popen.stderr)
        self._popen = popen
        self._watch = watch
        watch.add(self.pid)

    def fileno(self) -> int:
        """
        A descriptor that is readable when it has ended.
        """
        return self._end

    def has_ended(self) -> bool:
        """
        Whether it has ended. It is not reaped yet.
        """
        try:
            return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None
        except ChildProcessError:  # if the host ignores SIGCHLD, children that have ended are gone at once
            return True

    def reap(self) -> None:
        """
        Reap it, after killing what is left of its group.
        """
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._watch.forget(self.pid)
        self.exit_status = self._popen.wait()

    async def gone(self) -> None:
        """
        Wait until its group is empty: it has been killed, but the kernel may take a moment.
        """
        for pause in _PAUSES:
            try:
                os.killpg(self.pid, 0)
            except (ProcessLookupError, PermissionError):
                return
            await anyio.sleep(pause)

    def close(self) -> None:
        """
        Close the descriptor that tells its end.
        """
        os.close(self._end)


class GroupStarter:
    """
    Starts direct children of this process.
    """

    def __init__(self, watch: GroupWatch) -> None:
        self._watch = watch

    async def start(self, order: Order, *, stdin: int, stdout: int) -> OwnChild:
        """
        A child with these descriptors. Started here and not in a worker thread, since it takes less than a millisecond.
        """
        run = partial(_popen, order, stdin, stdout)
        popen = without_new_privileges(run) if order.no_new_privileges else run()
        try:
            limit_process(popen.pid, order.limits)
            end = _exit_descriptor(popen.pid)
        except OSError:
            popen.kill()
            popen.wait()
            raise
        return OwnChild(popen, end, self._watch)


def _popen(order: Order, stdin: int, stdout: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        order.argv, executable=order.executable, pass_fds=order.descriptors, stdin=stdin, stdout=stdout,
        stderr=subprocess.PIPE, bufsize=0, env=order.env, cwd=order.directory or None, start_new_session=True,
    )  # fmt: skip


def _detach(file: IO[bytes] | None) -> int:
    if file is None:
        raise AssertionError("standard error is always a pipe")
    descriptor = os.dup(file.fileno())
    file.close()
    return descriptor


def _exit_descriptor(pid: int) -> int:
    """
    A descriptor that is readable when a child of this process has ended.
    """
    with suppress(AttributeError, OSError):
        return os.pidfd_open(pid)
    reading, writing = os.pipe()
    threading.Thread(target=_tell_exit, args=(pid, writing), daemon=True).start()
    return reading


def _tell_exit(pid: int, descriptor: int) -> None:
    with suppress(ChildProcessError):
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    os.close(descriptor)


async def wait_for_exit(pid: int) -> None:
    """
    Wait until a child of this process has ended, without reaping it.
    """
    descriptor = _exit_descriptor(pid)
    try:
        await anyio.wait_readable(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def watching_groups() -> Iterator[GroupStarter]:
    """
    A starter whose children are ended by a shell if this process is killed, for as long as the context lasts.

    Raises:
        Unavailable: The system has no room for another process.
    """
    process = _start()
    if process is None or process.stdin is None:
        yield GroupStarter(GroupWatch(None))
        return
    os.set_blocking(process.stdin.fileno(), False)
    try:
        yield GroupStarter(GroupWatch(process.stdin.fileno()))
    finally:
        process.kill()
        process.wait()
        process.stdin.close()


def _start() -> subprocess.Popen[bytes] | None:
    # `remora-keeper` is $0, the name of the process in process lists.
    null = subprocess.DEVNULL
    try:
        return subprocess.Popen(
            [_SHELL, "-c", _SCRIPT, "remora-keeper"],
            stdin=subprocess.PIPE, stdout=null, stderr=null, bufsize=0, cwd="/", env={"PATH": os.defpath},
            start_new_session=True,
        )  # fmt: skip
    except (FileNotFoundError, PermissionError):
        _logger.warning("there is no %s: stubborn children outlive this process if it is killed", _SHELL)
        return None
    except OSError as error:
        raise Unavailable(f"no process can be started: {error.strerror}", sent=False) from error
