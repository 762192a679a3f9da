"""
What is made of files, and made again when they change.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from remora.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_log = logging.getLogger(__name__)

T = TypeVar("T")

_SETTLED = 100_000_000
"""Nanoseconds for which a file that was written in place must stay as it is: half of one may be usable, too."""


class Watched(Generic[T]):
    """
    Something made of files, and made again when they change; the last good one while they cannot be used.
    """

    def __init__(self, paths: Sequence[str], load: Callable[[], T]) -> None:
        """
        Raises:
            ConfigError: As `load` does.
        """
        self._paths = tuple(paths)
        self._load = load
        self._marks = self._look()
        self._value = load()

    def current(self) -> T:
        """
        What the files say now.
        """
        marks = self._look()
        if marks == self._marks or self._are_being_written(marks):
            return self._value
        try:
            value = self._load()
        except ConfigError as error:
            self._marks = marks
            _log.warning("%s; what was in use before stays", error)
        else:
            if marks == self._look():  # else somebody is at it this very moment
                self._marks, self._value = marks, value
        return self._value

    def _look(self) -> list[_Mark | None]:
        return [_mark(path) for path in self._paths]

    def _are_being_written(self, marks: list[_Mark | None]) -> bool:
        """
        Whether a file was written to just now; one that was put into the place of another is complete.
        """
        since = time.time_ns() - _SETTLED
        return any(
            new is not None and old is not None and new != old and new.inode == old.inode and new.modified > since
            for new, old in zip(marks, self._marks, strict=True)
        )


class _Mark(NamedTuple):
    modified: int
    changed: int  # also when it becomes somebody else's to read
    size: int
    inode: int


def _mark(path: str) -> _Mark | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return _Mark(found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
