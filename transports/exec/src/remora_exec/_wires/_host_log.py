"""
What a served plugin logs, as lines for its host, with levels and fields: an error is an error there, too.

What lives here: records to lines of JSON. What must not: which records there are. A program that sets up handlers of
its own has them.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from remora import current_call

if TYPE_CHECKING:
    from collections.abc import Iterator

FIELDS = ("method", "request_id", "trace_id")
"""The attributes of records that become fields of a line."""

_LEVELS = ((logging.CRITICAL, "critical"), (logging.ERROR, "error"), (logging.WARNING, "warning"))


class HostLog(logging.Handler):
    """
    Writes the lines of a record to standard error, each as an object of JSON.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """
        Write a record; without standard error there is nowhere to.
        """
        lines = "".join(f"{line}\n" for line in _lines(record, self._text(record)))
        try:
            sys.stderr.write(lines)
            sys.stderr.flush()
        except (AttributeError, OSError, ValueError):  # there is none, or it is closed
            pass

    def _text(self, record: logging.LogRecord) -> str:
        try:
            return self.format(record)
        except Exception as error:  # of the program, whose arguments do not fit its words: no reason to fail a call
            return f"{record.pathname}:{record.lineno} logs what cannot be written: {error}"


def _lines(record: logging.LogRecord, text: str) -> Iterator[str]:
    import json  # which costs a plugin's start a millisecond, and most plugins log nothing

    level = next((name for least, name in _LEVELS if record.levelno >= least), "info")
    fields = {**_of_call(), **{name: str(getattr(record, name)) for name in FIELDS if hasattr(record, name)}}
    for line in text.splitlines():
        yield json.dumps({"level": level, "message": line, "logger": record.name, **fields})


def _of_call() -> dict[str, str]:
    """
    The fields of the call that is being answered, if one is.
    """
    try:
        call = current_call()
    except LookupError:
        return {}
    return {"method": f"{call.service}/{call.method}", "request_id": call.request_id}


@contextmanager
def logging_for_the_host() -> Iterator[None]:
    """
    While it lasts, what no handler takes goes to the host with its level: warnings and errors, as otherwise to standard
    error. In a program that no Remora host has started, nothing changes.
    """
    if "REMORA_PROTOCOL" not in os.environ:
        yield
        return
    before = logging.lastResort
    logging.lastResort = HostLog(logging.WARNING)
    try:
        yield
    finally:
        logging.lastResort = before
