"""
What a fork leaves of gRPC. grpcio waits in threads, which a forked process does not have: a process that was forked
while gRPC was in use would wait for an answer for ever, or crash. One that was forked before, or after the last use, is
as good as any. After that use threads of grpcio clean up for a moment. A fork waits for them, since it would copy the
locks that they hold.

What lives here: refusing in time, and forking in time. What must not: gRPC.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from remora.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

_TASKS = "/proc/self/task"
_LONGEST_CLEANING = 1.0


class Uses:
    """
    How many channels and servers of this process use gRPC.
    """

    def __init__(self) -> None:
        self._count = 0
        self._is_lost = self._is_cleaning = False

    @contextmanager
    def one(self) -> Iterator[None]:
        """
        A context in which gRPC is used.

        Raises:
            ConfigError: It cannot be used in this process.
        """
        if self._is_lost:
            raise ConfigError(
                "gRPC cannot be used here, because this process was forked from one that was using it: fork before a"
                " manager with a gRPC plugin is opened, or start processes with the method 'spawn' or 'forkserver'"
            )
        self._count += 1  # by threads in turn, as long as they hold the interpreter's lock
        try:
            yield
        finally:
            self._count -= 1
            self._is_cleaning = True

    def settle(self) -> None:
        """
        Before a fork: wait for the threads that clean up after the last use, where the system tells how many there are.
        """
        if self._is_cleaning and not self._count:
            self._is_cleaning = False
            end = time.monotonic() + _LONGEST_CLEANING
            while _has_foreign_threads() and time.monotonic() < end:
                time.sleep(0.001)

    def forked(self) -> None:
        """
        Note, in the new process, that it has been forked.
        """
        self._is_lost = self._is_lost or self._count > 0


def _has_foreign_threads() -> bool:
    try:
        return len(os.listdir(_TASKS)) > len(sys._current_frames())
    except OSError:
        return False


uses = Uses()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=uses.settle, after_in_child=uses.forked)
