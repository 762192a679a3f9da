"""
The directory of a socket: made for its owner alone, or looked at before it is used.

What lives here: directories. What must not: sockets.

Whoever may write to the directory can put a socket of his own in the place of ours. So a directory that is made here
is nobody else's, from its first moment on, and is not reached through a symbolic link; and one that is there already
is refused when everybody may remove what is in it, or when it belongs to another user.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from remora.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def open_directory(path: str) -> int:
    """
    A descriptor of the directory, which is made where it is missing, with all above it that is.

    Raises:
        ConfigError: It is not safe.
        OSError: It cannot be made or opened.
    """
    if not _make(path):
        return _opened(path, _FLAGS, _why_unsafe)
    return _opened(path, _FLAGS | os.O_NOFOLLOW, _why_not_ours)


def _make(path: str) -> bool:
    """
    Make a directory and those above it; False when it is there already.
    """
    try:
        os.mkdir(path, 0o700)
    except FileNotFoundError:
        if not _make(os.path.dirname(path)):
            raise
        os.mkdir(path, 0o700)
    except FileExistsError:
        return False
    return True


def _opened(path: str, flags: int, why_refused: Callable[[os.stat_result], str]) -> int:
    descriptor = os.open(path, flags)
    if reason := why_refused(os.fstat(descriptor)):
        os.close(descriptor)
        raise ConfigError(f"{path} is not safe for a socket: {reason}")
    return descriptor


def _why_not_ours(status: os.stat_result) -> str:
    if status.st_uid != os.geteuid() or status.st_mode & _OTHERS:
        return "somebody has put another directory in its place"
    return ""


def _why_unsafe(status: os.stat_result) -> str:
    if status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX:
        return "everybody can write to it (chmod o-w helps)"
    if status.st_uid not in (os.geteuid(), 0):
        return f"it belongs to the user {status.st_uid}"
    return ""
