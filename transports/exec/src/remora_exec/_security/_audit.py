"""
The audit log: a line of JSON for every decision about a program.

What lives here: one file, shared by all who append to it, and its full predecessors. What must not: decisions.

Each line is written whole or not at all, under a lock that other processes respect. A full file is renamed to
`NAME.1`, that to `NAME.2`, and so on; files beyond the configured number are deleted.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Non-blocking, since opening a pipe in place of the file would block forever.
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_LOCK_ATTEMPTS, _LOCK_PAUSE = 200, 0.005
_MOST_ROTATIONS = 10


class AuditLog:
    """
    An audit log.

    Args:
        path: The file that is appended to.
        max_bytes: The size in bytes after which a new file is begun.
        kept: How many full files are kept.
    """

    def __init__(self, path: str, *, max_bytes: int, kept: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._kept = kept

    def write(self, record: Mapping[str, object]) -> None:
        """
        Append a record. Blocks for a second at most.

        Raises:
            OSError: It cannot be written, and no part of it was.
        """
        line = json.dumps(record).encode() + b"\n"
        for _ in range(_MOST_ROTATIONS):
            with self._locked() as descriptor:
                if not self._is_current(descriptor):
                    continue
                size = os.fstat(descriptor).st_size
                if size == 0 or size + len(line) <= self._max_bytes:
                    return _append(descriptor, line, size)
                self._rotate()
        raise OSError(errno.EAGAIN, "others rotate it all the time")

    @contextmanager
    def _locked(self) -> Iterator[int]:
        descriptor = os.open(self._path, _FLAGS, 0o600)
        try:
            _lock(descriptor)
            yield descriptor
        finally:
            os.close(descriptor)

    def _is_current(self, descriptor: int) -> bool:
        """
        Whether the file has not been renamed since it was opened.
        """
        with suppress(FileNotFoundError):
            return os.path.samestat(os.fstat(descriptor), os.lstat(self._path))
        return False

    def _rotate(self) -> None:
        names = [self._path, *(f"{self._path}.{number}" for number in range(1, self._kept + 1))]
        for older, newer in reversed(list(zip(names[1:], names, strict=False))):
            with suppress(FileNotFoundError):
                os.replace(newer, older)
        if self._kept == 0:
            os.unlink(self._path)


def _append(descriptor: int, line: bytes, size: int) -> None:
    try:
        written = os.write(descriptor, line)
        if written < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def _lock(descriptor: int) -> None:
    for _ in range(_LOCK_ATTEMPTS):
        with suppress(BlockingIOError):
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(_LOCK_PAUSE)
    raise TimeoutError(errno.ETIMEDOUT, "the audit log stays locked")
