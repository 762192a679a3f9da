"""
The head of an answer that has been read, by which the next ones of the same connection are known without a parser.

What lives here: which bytes mean the same as those that a parser has taken, but for the length of what follows. What
must not: parsing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remora_http._headers import RawHeaders

_DIGITS = 9
"""The most digits of a length."""
_STATUS = 64
"""The most bytes of a status line."""
_GOOD = b"HTTP/1.1 200 "
_MEASURE = b"content-length"
_OTHERWISE = frozenset({b"connection", b"content-encoding", b"trailer", b"transfer-encoding", b"upgrade"})
"""Headers by which an answer is more than a length and as many bytes, after which another may follow."""


class KnownHead:
    """
    The head of a good answer; the next one may have another number as its content-length.

    Attributes:
        fields: The headers, decoded.
    """

    __slots__ = ("_after", "_before", "_most", "fields")

    def __init__(self, before: bytes, after: bytes, fields: dict[str, str]) -> None:
        self._before = before
        self._after = after
        self._most = len(before) + _DIGITS + len(after)
        self.fields = fields

    def split(self, data: bytes | memoryview) -> tuple[bytes, bytes] | None:
        """
        The digits of the length, and the body; None unless the data is one whole answer with this head.
        """
        head = bytes(data[: self._most])
        if not head.startswith(self._before):
            return None
        start = len(self._before)
        end = head.find(b"\r", start)
        digits = head[start:end]
        if not (digits.isdigit() and head.startswith(self._after, end)):
            return None
        end += len(self._after)
        return (digits, bytes(data[end:])) if len(data) - end == int(digits) else None


def known_head(data: bytes | memoryview, raw: RawHeaders, fields: dict[str, str]) -> KnownHead | None:
    """
    The head at the beginning of an answer; None where it is not written so that others could be compared with it.

    Args:
        data: What a parser has taken, whole; another answer may follow on the connection.
        raw: The headers that it has found.
        fields: The same, decoded.
    """
    names = [name.lower() for name, _ in raw]
    if names.count(_MEASURE) != 1 or not _OTHERWISE.isdisjoint(names):
        return None
    at = names.index(_MEASURE)
    name, digits = raw[at]
    earlier, later = _written(raw[:at]), _written(raw[at + 1 :])
    head = bytes(data[: _STATUS + len(earlier) + len(name) + _DIGITS + len(later)])
    before = b"%b\r\n%b%b: " % (head.partition(b"\r\n")[0], earlier, name)
    after = b"\r\n%b\r\n" % later
    is_plain = before.startswith(_GOOD) and head.startswith(before + digits + after)
    return KnownHead(before, after, fields) if is_plain else None


def _written(raw: RawHeaders) -> bytes:
    return b"".join([b"%b: %b\r\n" % pair for pair in raw])
