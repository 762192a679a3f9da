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
from remora_unix._directory import open_directory

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
    with _place(path) as (taken, directory):
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            listening.setblocking(False)
            identity = _claim(taken, directory, listening)
            try:
                yield listening, taken
            finally:
                _remove(taken, directory, identity)
        finally:
            listening.close()


@contextmanager
def _place(path: str) -> Iterator[tuple[str, int]]:
    """
    The path, and its directory held open.
    """
    with _mapped("a free path"):
        private = "" if path else tempfile.mkdtemp(prefix="remora-")
    taken = path or os.path.join(private, "plugin.sock")
    try:
        with _mapped(taken):
            directory = open_directory(os.path.dirname(taken))
        try:
            yield taken, directory
        finally:
            os.close(directory)
    finally:
        if private:
            with suppress(OSError):
                os.rmdir(private)


def _claim(path: str, directory: int, listening: socket.socket) -> tuple[int, int]:
    name = os.path.basename(path)
    with _mapped(path), _locked(directory), short_path(path, directory) as short:
        if (found := _status(name, directory)) is not None:
            _remove_stale(path, short, directory, found)
        listening.bind(short)
        listening.listen(_BACKLOG)
        return _identity(os.stat(name, dir_fd=directory, follow_symlinks=False))


def _remove_stale(path: str, short: str, directory: int, found: os.stat_result) -> None:
    if not stat.S_ISSOCK(found.st_mode):
        raise ConfigError(f"{path} exists, and is not a socket; it is left alone")
    if _is_live(short):
        raise Unavailable(f"{path}: address in use", sent=False)
    os.unlink(os.path.basename(path), dir_fd=directory)


def _is_live(short: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asking:
        asking.setblocking(False)
        try:
            asking.connect(short)
        except OSError as error:
            return error.errno not in {errno.ECONNREFUSED, errno.ENOENT}
        return True


def _remove(path: str, directory: int, identity: tuple[int, int]) -> None:
    name = os.path.basename(path)
    with suppress(OSError), _locked(directory):
        found = _status(name, directory)
        if found is not None and _identity(found) == identity:
            os.unlink(name, dir_fd=directory)


def _status(name: str, directory: int) -> os.stat_result | None:
    with suppress(FileNotFoundError):
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    return None


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


@contextmanager
def _locked(directory: int) -> Iterator[None]:
    # A lock belongs to an open file: one of our own is opened, so that it ends with the context.
    descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
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
