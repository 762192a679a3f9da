"""
What is made of files, and made again when they change.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Generic, TypeVar

from remora.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_log = logging.getLogger(__name__)

T = TypeVar("T")


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
        if marks == self._marks:
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

    def has_changed(self) -> bool:
        """
        Whether the files are others than when they were last looked at.
        """
        return self._look() != self._marks

    def _look(self) -> list[tuple[int, int, int] | None]:
        return [_mark(path) for path in self._paths]


def _mark(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
