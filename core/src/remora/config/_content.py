"""
The content of files that somebody else writes: read without waiting for anybody, and no more than there is room for.

What lives here: reading. What must not: what the content means.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from os import PathLike

MOST = 8 * 1024 * 1024
"""Bytes in one file of a configuration."""
MOST_CREDENTIALS = 1024 * 1024
"""Bytes in one file of credentials or certificates."""

_AT_ONCE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def read_content(path: str | PathLike[str], most: int = MOST) -> bytes:
    """
    The bytes in a file. A pipe or a device is refused: who reads it may wait for ever.

    Raises:
        OSError: It cannot be read, is no regular file, or is larger than that.
    """
    return _read(path, most, may_be_open=True)


def read_credentials(path: str | PathLike[str], most: int = MOST_CREDENTIALS) -> bytes:
    """
    The bytes in a file that says whom to trust, or as whom to speak: one that everybody may write is refused as well.

    Raises:
        OSError: As `read_content` does, or everybody may write it.
    """
    return _read(path, most, may_be_open=False)


def _read(path: str | PathLike[str], most: int, *, may_be_open: bool) -> bytes:
    with open(path, "rb", opener=_open) as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is not a regular file")
        if os.name == "posix" and not may_be_open and mode & stat.S_IWOTH:
            raise OSError(errno.EPERM, "everybody may write to it")
        content = file.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it is larger than {most // 1024**2} MiB")
    return content


def _open(path: str, flags: int) -> int:
    return os.open(path, flags | _AT_ONCE)
