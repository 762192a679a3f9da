"""
The second best way to keep children from outliving their host, for systems without the first (see `_keeper`).

Children are the host's own, and a shell beside it, which costs next to nothing and needs nothing but POSIX, reads the
process groups to watch from a pipe whose other end only the host holds. When the host is gone, however it went, the
pipe ends; the shell waits half a second for the children to follow end of input, then kills what is left of the groups.
What leaves its group escapes.

Between the start of a child and its registration lie some ten microseconds in which a killed host leaves a child that
has read nothing yet; it ends with its input unless it is a stubborn one.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
from contextlib import contextmanager, suppress
from functools import partial
from typing import IO, TYPE_CHECKING

import anyio
import anyio.to_thread

from remora.errors import Unavailable
from remora_exec._limits import limit_process
from remora_exec._privileges import without_new_privileges

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remora_exec._order import Order

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
        End this group when the host is gone.
        """
        self._tell(f"+ {group}\n")

    def forget(self, group: int) -> None:
        """
        Leave the group alone from now on: it has ended, and its number may come to belong to others.
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
    A child of this very process.
    """

    def __init__(self, popen: subprocess.Popen[bytes], watch: GroupWatch) -> None:
        self.pid = popen.pid
        self.stderr = _detach(popen.stderr)
        self._popen = popen
        self._watch = watch
        watch.add(self.pid)

    async def wait(self) -> None:
        """
        Wait until it has ended. It is not reaped.
        """
        await wait_for_exit(self.pid)

    def reap(self) -> int:
        """
        Its exit status; what is left of its group is killed before.
        """
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._watch.forget(self.pid)
        return self._popen.wait()

    async def gone(self) -> None:
        """
        Wait until its group is empty: it was killed, but the kernel may still be at it.
        """
        for pause in _PAUSES:
            try:
                os.killpg(self.pid, 0)
            except (ProcessLookupError, PermissionError):
                return
            await anyio.sleep(pause)

    def close(self) -> None:
        """
        Nothing is held.
        """


class GroupStarter:
    """
    Starts children of this very process.
    """

    def __init__(self, watch: GroupWatch) -> None:
        self._watch = watch

    async def start(self, order: Order, *, stdin: int, stdout: int) -> OwnChild:
        """
        It runs here, not in a worker thread: it takes less than a millisecond.
        """
        run = partial(_popen, order, stdin, stdout)
        popen = without_new_privileges(run) if order.no_new_privileges else run()
        try:
            limit_process(popen.pid, order.limits)
        except OSError:
            popen.kill()
            popen.wait()
            raise
        return OwnChild(popen, self._watch)


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


async def wait_for_exit(pid: int) -> None:
    """
    Wait until a child of this process has ended; it is not reaped.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):
        flags = os.WEXITED | os.WNOWAIT
        with suppress(ChildProcessError):  # a host that ignores SIGCHLD has none that have ended
            await anyio.to_thread.run_sync(os.waitid, os.P_PID, pid, flags, abandon_on_cancel=True)
        return
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
    # `remora-keeper` is $0: what the process is called in a list of processes.
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
