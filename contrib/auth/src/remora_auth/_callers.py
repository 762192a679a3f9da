"""
The callers that a served plugin knows, and which of them a credential belongs to.

What lives here: look-ups in constant time. What must not: headers.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
from typing import TYPE_CHECKING

from remora.config import read_credentials
from remora.errors import ConfigError
from remora_auth._mark import mark_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from remora.secret import Secret
    from remora_auth._mark import Mark

_log = logging.getLogger(__name__.replace("_", ".", 1))

Known = list[tuple[str, bytes]]
"""Names of callers, each with the digest of one credential."""


class Callers:
    """
    Names and credentials, some given once, some in files that are read again when they change.
    """

    def __init__(self, given: Mapping[str, Secret], files: Mapping[str, Callable[[str], Known]]) -> None:
        """
        Args:
            given: Credentials by name.
            files: How the content of each file is read, by path.

        Raises:
            ConfigError: There is nobody, or a file cannot be used.
        """
        if empty := [name for name, secret in given.items() if not secret]:
            raise ConfigError(f"the credential of {empty[0]!r} is empty")
        self._given = [(name, digest(secret.reveal())) for name, secret in given.items()]
        self._files = [_File(path, read) for path, read in files.items()]
        if not self._given and not self._files:
            raise ConfigError("no caller is known, so nobody could call: set callers, callers_file or a credential")

    def holder(self, credential: str) -> str | None:
        """
        Whose credential it is; None when it is nobody's. All are compared, whichever it is.
        """
        found, given = None, digest(credential)
        for name, known in self._all():
            found = name if hmac.compare_digest(known, given) else found
        return found

    def is_password(self, username: str, password: str) -> bool:
        """
        Whether the password is that name's. All are compared, whichever it is.
        """
        is_right, name_given, given = False, digest(username), digest(password)
        for name, known in self._all():
            is_right |= hmac.compare_digest(digest(name), name_given) & hmac.compare_digest(known, given)
        return is_right

    def names(self) -> set[str]:
        """
        The names that credentials belong to now.
        """
        return {name for name, _ in self._all()}

    def _all(self) -> Known:
        return [*self._given, *(pair for file in self._files for pair in file.known())]


class _File:
    def __init__(self, path: str, read: Callable[[str], Known]) -> None:
        self._path = path
        self._read = read
        self._mark: Mark | None = mark_of(path)
        try:
            self._known = self._load()
        except ValueError as error:
            raise ConfigError(str(error)) from None

    def known(self) -> Known:
        """
        What the file says; while it cannot be used, what it said before.
        """
        mark = mark_of(self._path)
        if mark != self._mark:
            self._mark = mark
            try:
                self._known = self._load()
            except ValueError as error:
                _log.warning("%s; what it said before is still accepted", error)
        return self._known

    def _load(self) -> Known:
        try:
            return self._read(read_credentials(self._path).decode("utf-8-sig"))
        except OSError as error:
            raise ValueError(f"{self._path}: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError(f"{self._path}: it is not UTF-8 text") from None
        except ValueError as error:
            raise ValueError(f"{self._path}: {error}") from None


def read_callers(text: str) -> Known:
    """
    Names and digests of their credentials from lines of `NAME:SECRET`; a name may stand more than once.

    Raises:
        ValueError: A line is none, which is named by its number, or there is no line at all.
    """
    known = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, secret = line.strip().partition(":")
        if not (name.strip() and secret.strip()):
            raise ValueError(f"line {number} is not of the form NAME:SECRET")
        known.append((name.strip(), digest(secret.strip())))
    if not known:
        raise ValueError("no line names a caller")
    return known


def digest(text: str) -> bytes:
    """
    What is compared in place of a credential: its length tells nothing.
    """
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
