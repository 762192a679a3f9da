"""
The file of a program: opened once, checked, hashed; and who else could change it.

What lives here: one file and the directories above it. What must not: what is allowed (see `remora.security`).

Symbolic links are resolved once, and the file is opened by what they lead to. From then on everything is about the
open file: its mode, its hash and, if the system can do that, its execution. Swapping the name changes nothing.
What remains is a change inside the file, which only root and its owner can make, because a file that a group or
everybody may write to is refused.

Permissions are read from the mode, not tried out: root may do everything, and would notice nothing.
"""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remora.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CHUNK = 1 << 20
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_MOST_HASHES = 256
_FIRST_LINE = 256
_MOST_LINKS = 40  # as Linux has it
_SETTLED = 2_000_000_000  # nanoseconds; a younger change may share its time stamp with the next one

EXECUTES_DESCRIPTORS = sys.platform == "linux" and os.path.isdir("/proc/self/fd")
"""Whether the system can execute an open file, independent of its name."""

Version = tuple[int, int, int, int, int]
_hashes: dict[Version, str] = {}


@dataclass(frozen=True, slots=True)
class OpenProgram:
    """
    A program's file, held open.

    Attributes:
        real: Its path without symbolic links.
        descriptor: The open file.
        size: Its size in bytes.
    """

    real: str
    descriptor: int
    size: int

    @property
    def address(self) -> str:
        """
        A path of the open file itself, valid in every process that has the descriptor.
        """
        return f"/proc/self/fd/{self.descriptor}"

    def sha256(self) -> str:
        """
        The SHA-256 of the file, which is read again only when it has changed.

        Raises:
            OSError: It cannot be read, or changes in the meantime.
        """
        version = version_of(self.descriptor)
        if version in _hashes:
            return _hashes[version]
        found = _hash(self.descriptor)
        if version != version_of(self.descriptor):
            raise OSError(0, "it changes while it is read")
        if time.time_ns() - max(version[2:4]) > _SETTLED:
            _remember(version, found)
        return found


def version_of(file: str | int) -> Version:
    """
    What changes when a file does, given by its path or its descriptor.

    Raises:
        OSError: There is none.
    """
    status = os.stat(file)
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_ctime_ns, status.st_size


def _hash(descriptor: int) -> str:
    digest, position = hashlib.sha256(), 0
    while data := os.pread(descriptor, _CHUNK, position):
        digest.update(data)
        position += len(data)
    return digest.hexdigest()


def _remember(version: Version, sha256: str) -> None:
    if len(_hashes) >= _MOST_HASHES:
        _hashes.clear()
    _hashes[version] = sha256


@contextmanager
def opened(path: str) -> Iterator[OpenProgram]:
    """
    A program, held open inside the context.

    Raises:
        OSError: It cannot be read, or is not a regular file.
    """
    with _opened(os.path.realpath(path)) as program:
        yield program


@contextmanager
def _opened(real: str) -> Iterator[OpenProgram]:
    descriptor = os.open(real, _FLAGS)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "it is not a plain file")
        yield OpenProgram(real, descriptor, status.st_size)
    finally:
        os.close(descriptor)


def weaknesses(path: str, descriptor: int | None = None) -> tuple[str, ...]:
    """
    Who else could change a file, or put another in its place, in one sentence each.

    All paths count that symbolic links lead through, and so does the interpreter that a script names. A directory that
    everybody may write to counts even with the sticky bit, which keeps a file from being replaced, but not a missing
    one from being put there.

    Args:
        path: The path of the file.
        descriptor: The file, when it is already open.

    Raises:
        OSError: There is no such file.
    """
    real = os.path.realpath(path)
    return (*_weaknesses_of_file(path, real, descriptor), *_weaknesses_of_interpreter(real, descriptor))


def weaknesses_of_file(path: str) -> tuple[str, ...]:
    """
    The same for a file that is only read, so that an interpreter that it names does not count.

    Raises:
        OSError: There is no such file.
    """
    return _weaknesses_of_file(path, os.path.realpath(path), None)


def _weaknesses_of_file(path: str, real: str, descriptor: int | None) -> tuple[str, ...]:
    mode = os.stat(real if descriptor is None else descriptor).st_mode
    found = [f"{real} can be written by {who}" for who in _writers(mode)]
    names = [*_followed(path, real), real]
    near = {os.path.dirname(name) for name in names}
    for directory in dict.fromkeys(directory for name in names for directory in _directories(name)):
        is_near = directory in near
        found += _weaknesses_of_directory(directory, os.stat(directory).st_mode, is_near=is_near)
    return tuple(found)


def _weaknesses_of_interpreter(real: str, descriptor: int | None) -> tuple[str, ...]:
    try:
        interpreter = _interpreter(real, descriptor)
        is_another = os.path.isabs(interpreter) and os.path.realpath(interpreter) != real
        return weaknesses(interpreter) if is_another else ()
    except OSError:  # the start will report what is wrong
        return ()


def _interpreter(real: str, descriptor: int | None) -> str:
    """
    The interpreter that the first line of a script names; empty for other programs.
    """
    if descriptor is None:
        with _opened(real) as file:
            return _interpreter(real, file.descriptor)
    line = os.pread(descriptor, _FIRST_LINE, 0).partition(b"\n")[0]
    words = line.removeprefix(b"#!").split() if line.startswith(b"#!") else []
    return os.fsdecode(words[0]) if words else ""


def trusted(path: str) -> str:
    """
    The path of a helper program that security depends on.

    Raises:
        ConfigError: Others could have replaced it.
    """
    if found := weaknesses(path):
        raise ConfigError(f"{path} is not used: {'; '.join(found)}")
    return path


def _weaknesses_of_directory(directory: str, mode: int, *, is_near: bool) -> Iterable[str]:
    if mode & stat.S_ISVTX and not is_near:
        return []
    return [f"the directory {directory} can be written by {who}" for who in _writers(mode)]


def _writers(mode: int) -> Iterator[str]:
    if mode & stat.S_IWOTH:
        yield "everybody"
    elif mode & stat.S_IWGRP:
        yield "its group"


def _followed(path: str, real: str) -> Iterator[str]:
    """
    A path, and those that its symbolic links lead to, one after the other, on the way to the real one.
    """
    for _ in range(_MOST_LINKS):
        if path == real:
            return
        yield path
        link = next((each for each in reversed([path, *_directories(path)]) if os.path.islink(each)), None)
        if link is None:
            return
        path = os.path.join(os.path.dirname(link), os.readlink(link)) + path[len(link) :]


def _directories(path: str) -> Iterator[str]:
    while (parent := os.path.dirname(path)) != path:
        yield parent
        path = parent
