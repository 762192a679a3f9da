"""
Log records as entries of systemd's journal, with their fields, where the journal is what reads standard error.

The protocol is that of https://systemd.io/JOURNAL_NATIVE_PROTOCOL/: a datagram for each entry, a line for each field.

What lives here: records to entries. What must not: which records there are, and their texts.
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from typing import TYPE_CHECKING

from remora_cli.toolkit import LOG_FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping

SOCKET = "/run/systemd/journal/socket"

_MOST = 64 * 1024  # bytes of one field; the journal would take more than a datagram can carry
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
_DEBUG = 7


def is_read_by_the_journal() -> bool:
    """
    Whether standard error leads to the journal, as systemd says in the environment.
    """
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


class JournalHandler(logging.StreamHandler):  # type: ignore[type-arg]  # the class is generic for type checkers only
    """
    Sends records to the journal; what it does not take goes to standard error, which it reads as well.

    Args:
        path: The socket of the journal.
    """

    def __init__(self, path: str = SOCKET) -> None:
        super().__init__()
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def emit(self, record: logging.LogRecord) -> None:
        """
        Send a record. It never waits.
        """
        try:
            self._socket.sendto(entry(self._described(record)), self._path)
        except OSError:
            super().emit(record)

    def close(self) -> None:
        """
        Send nothing any more.
        """
        self._socket.close()
        super().close()

    def _described(self, record: logging.LogRecord) -> Mapping[str, str]:
        fields = {f"REMORA_{name.upper()}": str(getattr(record, name)) for name in LOG_FIELDS if hasattr(record, name)}
        priority = next((each for level, each in _PRIORITIES if record.levelno >= level), _DEBUG)
        message = (self.formatter or logging.Formatter()).format(record)
        known = {"MESSAGE": message, "PRIORITY": str(priority), "SYSLOG_IDENTIFIER": "remora", "LOGGER": record.name}
        return {**known, **fields}


def entry(fields: Mapping[str, str]) -> bytes:
    """
    The bytes of an entry: a field in a line of its own, or, where it has more than one line, with its length before it.
    """
    return b"".join(
        _field(name.encode(), value.encode(errors="backslashreplace")[:_MOST]) for name, value in fields.items()
    )


def _field(name: bytes, value: bytes) -> bytes:
    if b"\n" not in value:
        return name + b"=" + value + b"\n"
    return name + b"\n" + len(value).to_bytes(8, "little") + value + b"\n"
