"""
The server's side of a Unix socket as a file: made, kept apart from what others made, and removed again.

A file that is in the way is replaced only when it is a socket on which nobody listens. The directory is locked between
looking and binding, so that of two servers that start at once only one takes the place.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import tempfile
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from remora.errors import ConfigError, Unavailable
from remora_unix._address import short_path

if TYPE_CHECKING:
    from collections.abc import Iterator

_BACKLOG = 1024
_LOCK_ATTEMPTS, _LOCK_PAUSE = 50, 0.01


@contextmanager
def listening_socket(path: str) -> Iterator[tuple[socket.socket, str]]:
    """
    A socket that listens at a path, and the path; for an empty one in a private directory that is made for it.

    Raises:
        Unavailable: Somebody listens there already, or the place cannot be written to.
        ConfigError: Something that is no socket is in the way.
    """
    with _place(path) as taken:
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.setblocking(False)
            identity = _claim(taken, listening)
            try:
                yield listening, taken
            finally:
                _remove(taken, identity)
        finally:
            listening.close()


@contextmanager
def _place(path: str) -> Iterator[str]:
    if path:
        with _mapped(path):
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        yield path
        return
    directory = tempfile.mkdtemp(prefix="remora-")
    try:
        yield os.path.join(directory, "plugin.sock")
    finally:
        with suppress(OSError):
            os.rmdir(directory)


def _claim(path: str, listening: socket.socket) -> tuple[int, int]:
    with _mapped(path), _locked(os.path.dirname(path)), short_path(path) as short:
        if os.path.lexists(path):
            _remove_stale(path, short)
        listening.bind(short)
        listening.listen(_BACKLOG)
        return _identity(path)


def _remove_stale(path: str, short: str) -> None:
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise ConfigError(f"{path} exists, and is not a socket; it is left alone")
    if _is_live(short):
        raise Unavailable(f"{path}: address in use", sent=False)
    os.unlink(path)


def _is_live(short: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(short)
        except OSError as error:
            return error.errno not in {errno.ECONNREFUSED, errno.ENOENT}
        return True


def _remove(path: str, identity: tuple[int, int]) -> None:
    with suppress(OSError), _locked(os.path.dirname(path)):
        if _identity(path) == identity:
            os.unlink(path)


def _identity(path: str) -> tuple[int, int]:
    status = os.lstat(path)
    return status.st_dev, status.st_ino


@contextmanager
def _locked(directory: str) -> Iterator[None]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(descriptor)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int) -> None:
    for _ in range(_LOCK_ATTEMPTS):
        with suppress(BlockingIOError):
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(_LOCK_PAUSE)  # others hold it for microseconds
    raise TimeoutError(errno.ETIMEDOUT, "the directory stays locked")


@contextmanager
def _mapped(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Unavailable(f"{path}: address in use", sent=False) from error
        raise Unavailable(f"cannot listen at {path}: {error.strerror}", sent=False) from error
