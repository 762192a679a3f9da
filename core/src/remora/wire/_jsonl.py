"""
JSON lines: one JSON object per line, in UTF-8, in both directions of a pipe.

What lives here: bytes and lines. What must not: I/O, and what the objects mean (see `_jsonl_messages`).

A line that cannot be used never ends the conversation by itself. It comes out as `Noise` or `Overlong`, between the
objects before and after it, and the reader decides. An overlong line is thrown away as it arrives, so that no peer can
make the buffer grow beyond the limit. Only its two ends are kept: writers of JSON put the `id` in one of them, so that
one call can be failed while the others go on.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from remora.errors import WireError

DEFAULT_MAX_SIZE = 4 * 1024 * 1024
"""The default limit of a line, in bytes."""

_KEPT = 256
_ENDLESS = 16
_ID_FIRST = re.compile(rb'\s*\{\s*"id"\s*:\s*(?:(\d{1,18})(?:\.0{1,18})?|"([^"\\]{1,64})")\s*,')
_ID_LAST = re.compile(rb',\s*"id"\s*:\s*(?:(\d{1,18})(?:\.0{1,18})?|"([^"\\]{1,64})")\s*\}\s*\Z')

Id = int | str
"""What identifies a call on the wire. The host chooses it; Remora counts upwards."""


@dataclass(frozen=True, slots=True)
class Noise:
    """
    A line that is not a JSON object: output of a program that should have gone elsewhere.

    Attributes:
        line: The line as it arrived, without its end.
        id: The `id` of the object that it nearly is, such as one with NaN in it; None when it could not be found.
        why: What keeps it from being JSON.
    """

    line: bytes
    id: Id | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Overlong:
    """
    A line above the limit.

    Attributes:
        id: The `id` of the object in it; None when it could not be found.
        size: The length of the line in bytes.
        head: Its first bytes.
    """

    id: Id | None
    size: int
    head: bytes


Line = dict[str, object] | Noise | Overlong
"""What one line can turn out to be."""


class JsonLines:
    """
    The reading side: feed it bytes in pieces of any size, and take out what each line was.

    Args:
        max_size: The longest line, in bytes.
    """

    def __init__(self, *, max_size: int = DEFAULT_MAX_SIZE) -> None:
        self._max_size = max_size
        self._lines: list[Line] = []
        self._next = 0
        self._rest = bytearray()
        self._dropped: _Dropped | None = None

    def feed(self, data: bytes) -> None:
        """
        Add bytes that arrived.

        Raises:
            WireError: A line is so far above the limit that it will probably never end.
        """
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._extend(data[start:end])
            self._end_line()
            start = end + 1
        self._extend(data[start:])

    def feed_eof(self) -> None:
        """
        Say that no more bytes will follow: an unfinished last line counts as a line.
        """
        if self._rest or self._dropped is not None:
            self._end_line()

    def next_message(self) -> Line | None:
        """
        What the next line was; None when more bytes are needed. Blank lines are skipped.
        """
        if self._next == len(self._lines):
            self._lines.clear()
            self._next = 0
            return None
        self._next += 1
        return self._lines[self._next - 1]

    def _extend(self, data: bytes) -> None:
        if self._dropped is None:
            if len(self._rest) + len(data) <= self._max_size:
                self._rest += data
                return
            self._dropped = _Dropped(bytes(self._rest[:_KEPT]), bytes(self._rest[-_KEPT:]), len(self._rest))
            self._rest = bytearray()
        self._dropped.add(data)
        if self._dropped.size > self._max_size * _ENDLESS:
            raise WireError(f"a line of more than {self._dropped.size} bytes does not end")

    def _end_line(self) -> None:
        if self._dropped is not None:
            self._lines.append(self._dropped.result())
            self._dropped = None
            return
        line = bytes(self._rest)
        self._rest.clear()
        if line.strip():
            self._lines.append(_parse(line))


class _Dropped:
    """
    What is remembered of a line that is thrown away.
    """

    def __init__(self, head: bytes, tail: bytes, size: int) -> None:
        self._head = head
        self._tail = tail
        self.size = size

    def add(self, data: bytes) -> None:
        if len(self._head) < _KEPT:
            self._head += data[: _KEPT - len(self._head)]
        self._tail = (self._tail + data[-_KEPT:])[-_KEPT:]
        self.size += len(data)

    def result(self) -> Overlong:
        return Overlong(_id_in(self._head, self._tail), self.size, self._head)


def _id_in(head: bytes, tail: bytes) -> Id | None:
    """
    The `id` of an object, at one of its ends.
    """
    found = _ID_FIRST.match(head) or _ID_LAST.search(tail)
    if found is None:
        return None
    number, text = found.groups()
    return int(number) if number is not None else text.decode(errors="replace")


def _parse(line: bytes) -> Line:
    try:
        value = load_json(line)
    except ValueError as error:
        text = line.strip()
        is_nearly_one = text.startswith(b"{") and text.endswith(b"}")
        return Noise(line, _id_in(text[:_KEPT], text[-_KEPT:]) if is_nearly_one else None, str(error))
    return value if isinstance(value, dict) else Noise(line)


def load_json(data: bytes) -> object:
    """
    The value of a JSON text, strictly by the standard: without NaN, and not nested too deeply.

    Raises:
        ValueError: It is not JSON; the message says why.
    """
    try:
        return json.loads(data, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def _refuse(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def dump_json(value: object) -> bytes:
    """
    A JSON value as one line of ASCII, without the line end.

    Raises:
        ValueError: It holds a number that JSON cannot express, or is nested too deeply.
    """
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
