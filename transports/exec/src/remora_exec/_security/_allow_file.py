"""
The file with the allow-list: checked before every start, and used only when it is valid and others cannot change it.

What lives here: reading. What must not: what the list means (see `remora.security`).

A file that is broken, or that others may write to, is not used: this process keeps the last good list, and logs one
warning for each content. When the file is gone, the last good list stays as well, except under the policy "strict",
which starts nothing without a list.
"""

from __future__ import annotations

import logging
import os
import threading
from functools import cache
from typing import TYPE_CHECKING

from remora.errors import ConfigError
from remora.security import parse_allow_list
from remora_exec._security._program import opened, version_of, weaknesses

if TYPE_CHECKING:
    from remora.security import AllowList, Policy

_logger = logging.getLogger(__name__.replace("_", ".", 1))

_LARGEST = 10 * 1024 * 1024


class AllowFile:
    """
    A file with an allow-list. Made by `allow_file`, one for each path; safe to use from threads.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._content: bytes | None = None
        self._good: AllowList | None = None
        self._complaint = ""

    def current(self, policy: Policy) -> tuple[AllowList | None, str]:
        """
        The list, and a reason when there is none although there should be one.
        """
        with self._lock:
            try:
                self._read()
            except FileNotFoundError:
                return self._missing(policy)
            except (OSError, ConfigError) as error:
                return self._broken(error.message if isinstance(error, ConfigError) else error.strerror or str(error))
            self._complaint = ""
            return self._good, ""

    def version(self) -> object:
        """
        A value that changes when the file does; None while there is no file.
        """
        try:
            return version_of(self._path)
        except OSError:
            return None

    def _read(self) -> None:
        with opened(self._path) as file:
            if problems := weaknesses(self._path, file.descriptor):
                raise ConfigError("; ".join(problems))
            if file.size > _LARGEST:
                raise ConfigError(f"it has more than {_LARGEST} bytes")
            content = os.pread(file.descriptor, _LARGEST, 0)
        if content != self._content or self._good is None:
            self._good = _parsed(content, self._path)
            self._content = content

    def _missing(self, policy: Policy) -> tuple[AllowList | None, str]:
        problem = f"there is no allow-list {self._path}"
        if policy == "permissive":
            self._warn(problem)
            return self._good, ""
        return None, problem

    def _broken(self, reason: str) -> tuple[AllowList | None, str]:
        problem = f"the allow-list {self._path} cannot be used: {reason}"
        if self._good is None:
            return None, problem
        self._warn(f"{problem}; the last good one stays in force")
        return self._good, ""

    def _warn(self, complaint: str) -> None:
        if complaint != self._complaint:
            _logger.warning("%s", complaint)
        self._complaint = complaint


def _parsed(content: bytes, path: str) -> AllowList:
    try:
        text = content.decode()
    except ValueError as error:
        raise ConfigError("it is not UTF-8") from error
    return parse_allow_list(text, is_json=path.lower().endswith(".json"))


@cache
def allow_file(path: str) -> AllowFile:
    """
    The allow-list file at an absolute path.
    """
    return AllowFile(path)
