"""
What a plugin writes to its standard error, as log records.

What lives here: bytes to lines to records. What must not: pipes and processes.

A plugin is not trusted with the host's log: a line is cut at 64 KiB, invalid UTF-8 and control characters are escaped
(so no line break and no terminal sequence gets through), and a JSON line keeps its level and its message, while its
other fields become one attribute, `fields`, never attributes of their own. A plugin that writes too much gets only so
many lines per second into the log, which then says how many are missing; they are not even looked at. Secrets that the
host holds, and those in the plugin's own environment, are removed from whatever it writes, since it may print what it
was sent.
"""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remora.policy import RateLimitConfig, TokenBucket
from remora.secret import redacted
from remora.wire import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

MAX_LINE = 64 * 1024
_QUOTA = RateLimitConfig(enabled=True, requests_per_second=500, burst_size=5000)
_KEPT_LINES = 20
_KEPT_CHARACTERS = 500
_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "notice": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "fatal": logging.CRITICAL,
    "critical": logging.CRITICAL,
    "panic": logging.CRITICAL,
}


class Output:
    """
    The log of one plugin.

    Args:
        plugin: The plugin's name.
        instance: The address of the instance.
        clock: A clock, in seconds.
    """

    def __init__(self, plugin: str, instance: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logging.getLogger(f"remora.plugin.{plugin}")
        self._context = {"plugin": plugin, "instance": instance}
        self._rest = bytearray()
        self._is_cut = False
        self._last: deque[str | _Line] = deque(maxlen=_KEPT_LINES)
        self._quota = TokenBucket(_QUOTA, clock=clock)
        self._left_out = 0

    @property
    def last_lines(self) -> tuple[str, ...]:
        """
        The last lines, escaped and shortened, for an error message.
        """
        return tuple(each if isinstance(each, str) else each.read()[1][:_KEPT_CHARACTERS] for each in self._last)

    def feed(self, data: bytes) -> None:
        """
        Take bytes that the plugin has written.
        """
        *ended, rest = data.split(b"\n")
        for number, part in enumerate(ended, start=1):
            self._extend(part)
            if not self._end_line():
                self._leave_out([line for each in ended[number:] if (line := _Line.of(each))])
                break
        self._extend(rest)

    def feed_eof(self) -> None:
        """
        Take an unfinished last line as a line.
        """
        if self._rest:
            self._end_line()
        self._mention_left_out()
        self._last = deque(self.last_lines, maxlen=_KEPT_LINES)  # while the secrets are known that may be in them

    def stray(self, line: bytes) -> None:
        """
        Log a line of standard output that does not belong to the protocol, if there is room for it.
        """
        if not self._quota.take():
            self._left_out += 1
            return
        self._mention_left_out()
        self._logger.warning("stdout: %s", _shown(line[:MAX_LINE]), extra=self._context)

    def _extend(self, data: bytes) -> None:
        room = MAX_LINE - len(self._rest)
        self._rest += data[:room]
        self._is_cut |= len(data) > room

    def _end_line(self) -> bool:
        """
        Log a line that is complete; returns whether there was room for it.
        """
        line = _Line.of(bytes(self._rest), is_cut=self._is_cut)
        self._rest.clear()
        self._is_cut = False
        if line is None:
            return True
        if not self._quota.take():
            self._leave_out([line])
            return False
        self._log(line)
        return True

    def _leave_out(self, lines: Sequence[_Line]) -> None:
        """
        Count lines; only the last are kept, unread, since a plugin may write them as quickly as it can.
        """
        self._left_out += len(lines)
        self._last.extend(lines[-_KEPT_LINES:])

    def _log(self, line: _Line) -> None:
        self._mention_left_out()
        level, text, fields = line.read()
        self._last.append(text[:_KEPT_CHARACTERS])
        self._logger.log(level, "%s", text, extra={**self._context, "fields": fields} if fields else self._context)

    def _mention_left_out(self) -> None:
        if self._left_out:
            count, self._left_out = self._left_out, 0
            self._logger.warning("%d lines were left out: too many at once", count, extra=self._context)


@dataclass(frozen=True, slots=True)
class _Line:
    """
    A line as it was written, but for its end.
    """

    data: bytes
    is_cut: bool

    @classmethod
    def of(cls, data: bytes, *, is_cut: bool = False) -> _Line | None:
        """
        The line; None for a blank one.
        """
        if not data.strip():
            return None
        return cls(data[:MAX_LINE].removesuffix(b"\r"), is_cut)

    def read(self) -> tuple[int, str, Mapping[str, object]]:
        """
        Its level, the text to show, and its other fields.
        """
        level, message, fields = _parse(self.data)
        return level, _shown(message) + " [cut]" * self.is_cut, fields


def _shown(data: bytes | str) -> str:
    text = data if isinstance(data, str) else data.decode(errors="backslashreplace")
    return printable(redacted(text))


def _parse(line: bytes) -> tuple[int, str | bytes, Mapping[str, object]]:
    try:
        value = redacted(json.loads(line)) if line.startswith(b"{") else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        return logging.INFO, line, {}
    message = _take(value, "message", "@message", "msg")
    level = _take(value, "level", "@level", "severity")
    if message is None or level is None or level.lower() not in _LEVELS:
        return logging.INFO, line, {}
    return _LEVELS[level.lower()], message, value


def _take(fields: dict[str, object], *names: str) -> str | None:
    for name in names:
        if isinstance(fields.get(name), str):
            return str(fields.pop(name))
    return None
