"""
Descendants that have lost their parents: found, asked to end, killed, reaped.

Only direct children are looked at: an orphan becomes one the moment its parent ends, so killing all children again and
again until there are none kills all descendants. The number of a child is not reused before it has been reaped, and
neither is that of its group.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

from remora_exec._keeping._kernel import SIGKILL, SIGTERM

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_GRACE = 0.5
_PAUSE = 0.05


class Strays:
    """
    The descendants that are being ended.
    """

    def __init__(self) -> None:
        self._asked: set[int] = set()
        self._since = 0.0

    def end(self, pids: Iterable[int]) -> float | None:
        """
        Take one more step: SIGTERM for new ones, and half a second after the first step SIGKILL for all.

        Returns:
            Seconds after which to call it again, or earlier when a child ends, since they may fork in the meantime;
            None when none is left.
        """
        left = [pid for pid in pids if not reap(pid)]
        if not left:
            self._asked.clear()
            return None
        now = time.monotonic()
        if not self._asked:
            self._since = now
        wait = self._since + _GRACE - now
        if wait > 0:
            signal_groups(set(left) - self._asked, SIGTERM)
        else:
            signal_groups(left, SIGKILL)
        self._asked.update(left)
        return wait if wait > 0 else _PAUSE


def reap(pid: int) -> bool:
    """
    Reap a child if it has ended, without waiting; returns whether it is gone.
    """
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def signal_groups(pids: Iterable[int], number: int) -> None:
    """
    Send a signal to the groups that children are in, so that a group that forks is killed at once.
    """
    for group in {group for pid in pids if (group := _group(pid)) not in {0, os.getpgrp()}}:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def children() -> list[int]:
    """
    The children of this process, which has one thread.

    Raises:
        OSError: The system cannot list them.
    """
    me = os.getpid()
    try:
        with open(f"/proc/{me}/task/{me}/children", "rb", buffering=0) as file:
            return [int(each) for each in file.read().split()]
    except FileNotFoundError:  # not every kernel has it
        everybody = [int(each) for each in os.listdir("/proc") if each.isdigit()]
        if me not in everybody:
            raise
        return [pid for pid in everybody if _parent(pid) == me]


def _parent(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0
