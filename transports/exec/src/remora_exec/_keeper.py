"""
The keeper: a tiny process beside the host that ends the children when the host cannot do it any more.

A host that is killed with SIGKILL runs no clean-up. Its children then read end of input and most of them end, but
a stubborn one would stay. What was weighed to end that one too (times of one start on two cores):

- A parent-death signal set through `preexec_fn`: unsafe in a process with threads, and slow.
- `setpriv --pdeathsig KILL PROGRAM` (1.6 ms instead of 0.7): the signal comes when the *thread* that started the child
  ends, it does not reach grandchildren, gives the child no moment to clean up, and util-linux is not everywhere.
- A Python launcher that calls prctl and then runs the program: 65 ms.
- A keeper, which is what we do (0.2 ms of the host's time, once per channel): `/bin/sh` reads the process groups to
  watch from a pipe whose other end only the host holds. When the host is gone, however it went, the pipe ends; the
  keeper waits half a second for the children to follow end of input, then kills what is left of the groups,
  grandchildren included. It needs nothing but POSIX and does not care which thread starts what.

Between the start of a child and its registration lie some ten microseconds in which a killed host leaves a child that
has read nothing yet; it ends with its input unless it is a stubborn one.
"""

from __future__ import annotations

import logging
import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from remora.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

_logger = logging.getLogger(__name__.replace("_", ".", 1))

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


class Keeper:
    """
    The process groups that must not outlive this process.
    """

    def __init__(self, pipe: int | None) -> None:
        self._pipe = pipe

    def watch(self, group: int) -> None:
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


@contextmanager
def keeping() -> Iterator[Keeper]:
    """
    A keeper, for as long as the context lasts.

    Raises:
        Unavailable: The system has no room for another process.
    """
    process = _start()
    if process is None or process.stdin is None:
        yield Keeper(None)
        return
    os.set_blocking(process.stdin.fileno(), False)
    try:
        yield Keeper(process.stdin.fileno())
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
