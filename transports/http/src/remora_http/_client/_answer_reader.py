"""
Reads HTTP responses: bytes in, one complete answer out. The parser is llhttp, through httptools.

What lives here: parsing one answer at a time, all sizes limited. What must not: sockets, clocks, the Connect protocol.

A reader serves one connection. `begin` prepares it for the next answer. After bytes that were not asked for, or
anything else that lets the two sides disagree about where an answer begins, the connection is not reusable.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from remora.errors import ConnectionLost, InvalidReply, WireError, WrongProtocol
from remora.wire import too_large
from remora_http._body import BadEncoding, Body, BodyTooLarge
from remora_http._client._known_heads import KnownHeads
from remora_http._failure import Answer
from remora_http._headers import size_of
from remora_http._status import SUCCESS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remora.errors import RemoraError
    from remora_http._headers import RawHeaders

_NO_HEADERS: Mapping[str, str] = MappingProxyType({})
_HEAD = 64 * 1024
"""The most bytes that are not body: status line, headers, trailers, chunk extensions."""
_INTERIM = 32
"""The most interim answers, such as `100 Continue`, before the final one."""


class AnswerReader:
    """
    Reads the answers of one connection.

    Args:
        peer: The peer's name, for messages.
        limit: The most bytes that a decoded body may have.
        known: What is known of the heads of the same server's answers.

    Attributes:
        peer: The peer's name, for messages.
        has_begun: Whether a byte of the answer has arrived.
        is_complete: Whether all of it has arrived, or as much as is wanted.
        is_reusable: Whether the connection can be used for another answer.
    """

    __slots__ = (
        "__weakref__",
        "_answer",
        "_body",
        "_chunks",
        "_failure",
        "_fields",
        "_has_body",
        "_has_head",
        "_headers",
        "_interim",
        "_is_parsed",
        "_keeps_alive",
        "_known",
        "_limit",
        "_overhead",
        "_own",
        "_parser",
        "_piece",
        "_size",
        "_status",
        "has_begun",
        "is_complete",
        "is_reusable",
        "peer",
    )

    def __init__(self, peer: str, limit: int, known: KnownHeads | None = None) -> None:
        self.peer = peer
        self._limit = limit
        self._known = known or KnownHeads()
        self._parser = HttpResponseParser(self)
        # Scripts that print their own headers often end lines with bare line feeds.
        self._parser.set_dangerous_leniencies(lenient_optional_cr_before_lf=True)
        self._is_parsed = True
        self.begin()

    def begin(self) -> None:
        """
        Prepare for the next answer.
        """
        self.has_begun = self.is_complete = self.is_reusable = False
        self._answer: Answer | None = None
        if self._is_parsed:
            self._forget()

    def _forget(self) -> None:
        """
        Forget what was parsed.
        """
        self._is_parsed = self._has_head = self._keeps_alive = self._has_body = False
        self._status = self._size = self._overhead = self._interim = 0
        self._headers: RawHeaders = []
        self._fields = self._own = _NO_HEADERS
        self._chunks: list[bytes] = []
        self._body: Body | None = None
        self._failure: BadEncoding | BodyTooLarge | None = None

    def feed(self, data: memoryview) -> bool:
        """
        Take the next bytes.

        Returns:
            Whether the answer is complete.

        Raises:
            WrongProtocol: They are not HTTP.
            WireError: They violate HTTP's rules.
        """
        if self.has_begun:
            return self._parse(data)
        self.has_begun = True
        self._answer = self._known.recognise(data)
        if self._answer is not None:
            self.is_complete = self.is_reusable = True
        elif self._parse(data) and self.is_reusable and self._status == 200 and self._body is None:
            self._answer = self.outcome()
            self._known.learn(data, self._answer)
        return self.is_complete

    def _parse(self, data: memoryview) -> bool:
        self._is_parsed, self._has_body, self._piece = True, False, len(data)
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as exc:
            self.is_reusable = False
            if not self.is_complete:
                raise self._broken(str(exc)) from exc
        if not self.is_complete and not self._has_body:
            self._overhead += self._piece
        if self._overhead > _HEAD:
            raise self._broken("the headers are larger than 64 KiB")
        return self.is_complete

    def feed_eof(self) -> None:
        """
        Report the end of the connection, which is how an answer without a length ends.

        Raises:
            ConnectionLost: The answer is not complete.
        """
        self.is_reusable = False
        if self.is_complete:
            return
        if not self._has_head or self._is_measured():
            reason = "amid its answer" if self.has_begun else "without an answer"
            raise ConnectionLost(f"{self.peer} closed the connection {reason}")
        self.is_complete = True

    def outcome(self) -> Answer:
        """
        The answer, once it is complete.

        Raises:
            MessageTooLarge: Its body is larger than the limit.
            InvalidReply: Its body cannot be decompressed.
        """
        if self._answer is not None:
            return self._answer
        body = b"".join(self._chunks) if self._body is None else self._finish(self._body)
        if self._failure is not None:
            body = self._excused(self._failure)
        return Answer(self._status, self._fields, self._own, body)

    def on_message_begin(self) -> None:
        # one that follows the answer was not asked for
        self.is_reusable = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:  # after the head it is a trailer
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self.is_complete:
            return
        if self._overhead + self._piece > _HEAD and (size := size_of(self._headers)) > _HEAD:
            self._overhead = size
            return
        self._status = self._parser.get_status_code()
        self._keeps_alive = self._parser.should_keep_alive()
        self._has_head = True
        self._fields, self._own = self._known.headers.read(self._headers)
        encoding = self._fields.get("content-encoding")
        if encoding:
            try:
                self._body = Body(self._limit, encoding)
            except BadEncoding as exc:
                self._fail(exc)

    def on_body(self, chunk: bytes) -> None:
        self._has_body = True
        if self.is_complete:
            return None
        if self._body is not None:
            return self._inflate(self._body, chunk)
        self._size += len(chunk)
        self._chunks.append(chunk)
        if self._size > self._limit:
            self._fail(BodyTooLarge(b"".join(self._chunks)[: self._limit]))
        return None

    def on_message_complete(self) -> None:
        if self.is_complete:
            return
        if 100 <= self._status < 200 and self._status != 101:
            self._skip()
        else:
            self.is_complete = True
            self.is_reusable = self._keeps_alive

    def _skip(self) -> None:
        self._interim += 1
        if self._interim > _INTERIM:
            self._fail(BadEncoding("it never came to more than interim answers"))
        self._headers, self._has_head = [], False

    def _inflate(self, body: Body, chunk: bytes) -> None:
        try:
            body.feed(chunk)
        except (BadEncoding, BodyTooLarge) as exc:
            self._fail(exc)

    def _fail(self, failure: BadEncoding | BodyTooLarge) -> None:
        # Reading on would be useless, and the unread rest makes the connection useless for the next answer.
        self._failure = failure
        self._chunks.clear()
        self.is_complete = True

    def _finish(self, body: Body) -> bytes:
        try:
            return body.finish()
        except BadEncoding as exc:
            self._failure = self._failure or exc
            return b""

    def _excused(self, failure: BadEncoding | BodyTooLarge) -> bytes:
        if isinstance(failure, BadEncoding):
            raise InvalidReply(f"the reply cannot be decoded: {failure}") from failure
        if self._status in SUCCESS:
            raise too_large("reply", self._limit) from failure
        # A long error is still an error; its beginning says enough.
        beginning: bytes = failure.args[0]
        return beginning

    def _is_measured(self) -> bool:
        return "content-length" in self._fields or "transfer-encoding" in self._fields

    def _broken(self, reason: str) -> RemoraError:
        if not self._has_head:
            return WrongProtocol(f"what answers at {self.peer} does not speak HTTP: {reason}")
        return WireError(f"{self.peer} broke the rules of HTTP: {reason}")
