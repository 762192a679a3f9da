"""
What a fork leaves of gRPC. grpcio waits in threads, which a forked process does not have: a process that was forked
while gRPC was in use would wait for an answer for ever, or crash. One that was forked before, or after the last use, is
as good as any.

What lives here: refusing in time. What must not: gRPC.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from remora.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Uses:
    """
    How many channels and servers of this process use gRPC.
    """

    def __init__(self) -> None:
        self._count = 0
        self._is_lost = False

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

    def forked(self) -> None:
        """
        Note, in the new process, that it has been forked.
        """
        self._is_lost = self._is_lost or self._count > 0


uses = Uses()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=uses.forked)
