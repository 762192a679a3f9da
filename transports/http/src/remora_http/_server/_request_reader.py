"""
Requests as they arrive: bytes in, whole requests out. The parser is llhttp, by way of httptools.

What lives here: the requests of one connection, in order, bounded in every direction. What must not: sockets, clocks,
the Connect protocol.

After bytes that two readers could understand differently nothing more is read: the last request then says what to
answer, and that the connection ends with it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import unquote

from httptools import HttpParserError, HttpParserInvalidURLError, HttpParserUpgrade, HttpRequestParser, parse_url

from remora_http._body import BadEncoding, Body, BodyTooLarge
from remora_http._headers import HeaderReader, size_of
from remora_http._remembered import remembered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remora_http._headers import RawHeaders

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_HEAD = 64 * 1024
"""The limit, in bytes, of a request line and headers, and of all else that is not body: trailers, chunk extensions."""
_WAITING = 4
"""How many requests a client may send ahead of the answers before reading stops."""


class BadRequest(Exception):
    """
    The request cannot be answered.

    Attributes:
        status: The HTTP status that says so.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(slots=True)
class Request:
    """
    A whole request. Treat it as immutable; it is not frozen only because that would cost every call a microsecond.

    Attributes:
        method: The verb.
        path: The decoded path, without the query.
        headers: All headers, names in lower case.
        own: Those of them that belong to the plugin and its caller.
        body: The decoded body.
        problem: Why it cannot be answered normally; None when it can.
        is_last: Whether the connection ends after its answer.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    own: Mapping[str, str]
    body: bytes
    problem: Exception | None
    is_last: bool


class RequestReader:
    """
    Reads the requests of one connection.

    Args:
        limit: The most bytes that a body may have, after decoding.

    Attributes:
        requests: Those that are complete, oldest first.
        is_amid: Whether a request has begun and is not yet complete.
        is_ended: Whether nothing more is read.
        is_cut: Whether the client may still be sending bytes that are not read.
        wants_continue: Whether the client waits for "100 Continue" before it sends the body.
    """

    def __init__(self, limit: int) -> None:
        self.requests = deque[Request]()
        self.is_amid = self.is_ended = self.is_cut = self.wants_continue = False
        self._limit = limit
        self._problem: Exception | None = None
        self._body: Body | None = None
        self._reader = HeaderReader()
        self._headers: Mapping[str, str]
        self._own: Mapping[str, str]
        self._overhead: int
        self._parser = HttpRequestParser(self)
        self._begin()

    @property
    def is_full(self) -> bool:
        """
        Whether reading from the client should pause.
        """
        if len(self.requests) < _WAITING:
            return sum(len(each.body) for each in self.requests) > self._limit
        return True

    def feed(self, data: bytes | memoryview) -> None:
        """
        Take the next bytes.
        """
        for _ in range(_WAITING):
            if self.is_ended or not (data := self._parse(data)):
                return
        self._end(BadRequest(400, "too many offers to go on in another protocol at once"))

    def _parse(self, data: bytes | memoryview) -> bytes:
        """
        Take the next bytes; returns those that must be parsed again.
        """
        self._has_body, self._piece = False, len(data)
        before = len(self.requests)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as exc:
            return self._decline(data[exc.args[0] :])
        except HttpParserError as exc:
            self._end(BadRequest(400, str(exc)))
        if self.is_amid and not self._has_body and before == len(self.requests):
            self._overhead += self._piece
            if self._overhead > _HEAD:
                self._end(_bloated())
        return b""

    def expire(self) -> None:
        """
        Give up the request that has begun: its client is too slow.
        """
        self._end(BadRequest(408, "the request did not arrive in time"))

    def on_message_begin(self) -> None:
        self._begin()
        self.is_amid = True

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:  # else it is a trailer
            self._raw.append((name, value))

    def on_headers_complete(self) -> None:
        if self._overhead + self._piece > _HEAD and len(self._url) + size_of(self._raw) > _HEAD:
            self._end(_bloated())
            return
        self._has_head = True
        headers, own = self._reader.read(self._raw)
        self._headers, self._own = headers, own
        self._keeps_alive = self._parser.should_keep_alive()
        if encoding := headers.get("content-encoding"):
            try:
                self._body = Body(self._limit, encoding)
            except BadEncoding as exc:
                self._problem = exc
        if "expect" in headers:
            self._consider(headers)

    def on_body(self, chunk: bytes) -> None:
        self._has_body, self.wants_continue = True, False
        if self.is_ended:
            return
        if self._problem is not None:
            self._skip(len(chunk))
        elif self._body is not None:
            self._inflate(self._body, chunk)
        else:
            self._keep(chunk)

    def on_message_complete(self) -> None:
        if self.is_ended or not self.is_amid or self._parser.should_upgrade():
            return
        self.is_amid = self.wants_continue = False
        body = self._finish()
        self._put(body, is_last=not self._keeps_alive)

    def _decline(self, rest: bytes | memoryview) -> bytes:
        """
        The bytes to be parsed again, as if the client had not offered to switch to another protocol.
        """
        method = self._parser.get_method()
        if method == b"CONNECT":
            self._end(BadRequest(501, "this is not a proxy"))
            return b""
        pairs = [(name, value) for name, value in self._raw if name.lower() != b"upgrade"]
        lines = b"".join(b"%b: %b\r\n" % pair for pair in pairs)
        version = self._parser.get_http_version().encode()
        head = b"%b %b HTTP/%b\r\n%b\r\n" % (method, self._url, version, lines)
        self._parser = HttpRequestParser(self)
        return head + rest

    def _begin(self) -> None:
        self._url = b""
        self._raw: RawHeaders = []
        self._headers = self._own = _NO_HEADERS
        self._has_head = self._has_body = self._keeps_alive = False
        self._body = None
        self._chunks: list[bytes] = []
        self._size = self._skipped = self._overhead = 0
        self._problem = None

    def _consider(self, headers: Mapping[str, str]) -> None:
        if headers["expect"].lower() != "100-continue":
            return
        length = headers.get("content-length", "0")
        if self._problem is None and int(length) <= self._limit:
            self.wants_continue = True
        else:
            self._end(self._problem or BodyTooLarge(b""))

    def _keep(self, chunk: bytes) -> None:
        self._size += len(chunk)
        self._chunks.append(chunk)
        if self._size > self._limit:
            self._refuse(BodyTooLarge(b""), excess=self._size - self._limit)

    def _inflate(self, body: Body, chunk: bytes) -> None:
        try:
            body.feed(chunk)
        except (BadEncoding, BodyTooLarge) as exc:
            self._refuse(exc, excess=len(chunk))

    def _refuse(self, problem: Exception, *, excess: int) -> None:
        self._problem, self._body = problem, None
        self._chunks.clear()
        self._skip(excess)

    def _skip(self, size: int) -> None:
        # A client that is still sending would miss an answer now; reading some more lets it see the reason.
        self._skipped += size
        if self._skipped > self._limit:
            self._end(self._problem)

    def _finish(self) -> bytes:
        try:
            return self._body.finish() if self._body is not None else b"".join(self._chunks)
        except BadEncoding as exc:
            self._problem = exc
            return b""

    def _end(self, problem: Exception | None) -> None:
        if self.is_ended:
            return
        if self.is_amid or not self.requests:
            self._problem = problem
            self._put(b"", is_last=True)
        self.is_ended, self.is_cut = True, True
        self.is_amid = self.wants_continue = False

    def _put(self, body: bytes, *, is_last: bool) -> None:
        verb = self._parser.get_method().decode() if self._has_head else ""
        path, problem = "", self._problem
        try:
            path = _path(self._url)
        except HttpParserInvalidURLError:
            problem = problem or BadRequest(400, "the target of the request is malformed")
        self.requests.append(Request(verb, path, self._headers, self._own, body, problem, is_last))
        self.is_ended = self.is_ended or is_last


def _bloated() -> BadRequest:
    return BadRequest(431, "the headers are larger than 64 KiB")


@remembered
def _path(url: bytes) -> str:
    path = url if url[:1] in (b"/", b"*", b"") else parse_url(url).path or b"/"
    return unquote(path.partition(b"?")[0].decode("latin-1"), "utf-8", "replace")
