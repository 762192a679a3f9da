"""
Files below one directory, and nothing outside it.

A path is walked one name at a time, each opened relative to the one before and without following links. So nothing
that somebody changes in the meantime can lead the way out.
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

_WALK = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_OPEN = os.O_NOFOLLOW | os.O_NONBLOCK  # whoever opens a pipe would wait for its other end


@dataclass(frozen=True, slots=True)
class Entry:
    """
    A name in a directory.
    """

    name: str
    kind: str
    size: int


class Confined:
    """
    The files below a directory; it is made if it is missing.

    Raises:
        ValueError: A path leads out of it, or names nothing.
        PermissionError: A path leads over a symbolic link.
        OSError: The system refuses.
    """

    def __init__(self, root: str) -> None:
        os.makedirs(root, exist_ok=True)
        self._root = os.path.abspath(root)

    def entries(self, path: str) -> list[Entry]:
        """
        What a directory holds, by name.
        """
        with self._directory(_names(path)) as folder:
            return [_entry(folder, name) for name in sorted(os.listdir(folder))]

    def read(self, path: str) -> bytes:
        """
        The content of a file.
        """
        with self._file(path, os.O_RDONLY) as file, open(file, "rb", closefd=False) as stream:
            return stream.read()

    def write(self, path: str, content: bytes) -> None:
        """
        Give a file this content; it is made if it is missing, and so are the directories above it.
        """
        with self._file(path, os.O_WRONLY | os.O_CREAT, make=True) as file:
            os.truncate(file, 0)
            with open(file, "wb", closefd=False) as stream:
                stream.write(content)

    def delete(self, path: str) -> None:
        """
        Remove a file.
        """
        *above, name = _names(path) or _refuse()
        with self._directory(above) as folder:
            os.unlink(name, dir_fd=folder)

    @contextmanager
    def _file(self, path: str, flags: int, *, make: bool = False) -> Iterator[int]:
        *above, name = _names(path) or _refuse()
        with self._directory(above, make=make) as folder, _opened(name, flags | _OPEN, folder) as file:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise OSError(errno.EISDIR, "is not a file")
            yield file

    @contextmanager
    def _directory(self, names: list[str], *, make: bool = False) -> Iterator[int]:
        folder = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for name in names:
                if make:
                    _make(name, folder)
                with _opened(name, _WALK, folder) as below:
                    os.dup2(below, folder, inheritable=False)
            yield folder
        finally:
            os.close(folder)


def _names(path: str) -> list[str]:
    names = [name for name in path.split("/") if name not in ("", ".")]
    if ".." in names or path.startswith("/"):
        raise ValueError("leads out of the directory")
    if "\0" in path:
        raise ValueError("is not a path")
    return names


def _refuse() -> list[str]:
    raise ValueError("names no file")


@contextmanager
def _opened(name: str, flags: int, folder: int) -> Iterator[int]:
    try:
        file = os.open(name, flags, mode=0o600, dir_fd=folder)
    except OSError:
        if _is_link(name, folder):
            raise PermissionError(errno.ELOOP, "leads over a symbolic link") from None
        raise
    try:
        yield file
    finally:
        os.close(file)


def _is_link(name: str, folder: int) -> bool:
    try:
        return stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except OSError:
        return False


def _make(name: str, folder: int) -> None:
    with suppress(FileExistsError):
        os.mkdir(name, mode=0o700, dir_fd=folder)


def _entry(folder: int, name: str) -> Entry:
    facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
    kinds = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}
    return Entry(name, kinds.get(stat.S_IFMT(facts.st_mode), "other"), facts.st_size)
