"""
Log records as lines with their time, for commands that last: for people, or as JSON.

What lives here: records to text. What must not: which records there are, and where they go.
"""

from __future__ import annotations

import json
import logging
import time

LOG_FIELDS = ("plugin", "instance", "request_id", "trace_id", "code", "method", "event_name", "culprit")
"""The attributes of records that are context; a plugin's own `fields` come beside them."""


class Stamped(logging.Formatter):
    """
    Lines for people, each with the time in front.

    Args:
        inner: What makes the rest.
    """

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """
        The line; more lines follow where a traceback belongs to it.
        """
        return f"{_time_of(record)} {self._inner.format(record)}"


class JsonLines(logging.Formatter):
    """
    An object of JSON a line.
    """

    def format(self, record: logging.LogRecord) -> str:
        """
        The line.
        """
        line: dict[str, object] = {
            "time": _time_of(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: getattr(record, name) for name in (*LOG_FIELDS, "fields") if hasattr(record, name)}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _time_of(record: logging.LogRecord) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return f"{whole}.{int(record.msecs):03d}Z"
