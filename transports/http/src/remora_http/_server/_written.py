"""
Responses in bytes, as a head and a body.

What lives here: writing HTTP/1.1. What must not: what a response contains (see `_response`).
"""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING

from remora.wire import too_large
from remora_http._headers import encode_headers, encode_value

if TYPE_CHECKING:
    from remora.types import Reply
    from remora_http._server._request_reader import Request
    from remora_http._server._response import Response


Message = tuple[bytes, bytes]
"""The bytes of a head, and those of a body."""


def encode_reply(reply: Reply, request: Request, *, limit: int) -> Message:
    """
    The response for a reply, in bytes.

    Raises:
        MessageTooLarge: The reply is over the limit.
        ValueError: A header cannot be sent.
    """
    payload = reply.payload
    if len(payload) > limit:
        raise too_large("reply", limit)
    own = b"".join(b"%b: %b\r\n" % pair for pair in encode_headers(reply.headers)) if reply.headers else b""
    head = b"%bcontent-length: %d\r\n%b%b" % (
        _beginning(reply.content_type, int(time.time())),
        len(payload),
        own,
        _ending(request, is_last=request.is_last),
    )
    return head, payload


def encode(response: Response, request: Request, *, is_last: bool) -> Message:
    """
    A response in bytes.

    Args:
        response: The response.
        request: The request that it answers.
        is_last: Whether the connection ends with it.
    """
    lines = [_status_line(response.status), _date(int(time.time()))]
    has_length = False
    for name, value in response.headers:
        lines.append(b"%b: %b\r\n" % (name, value))
        has_length = has_length or name == b"content-length"
    if not has_length:
        lines.append(b"content-length: %d\r\n" % len(response.body))
    lines.append(_ending(request, is_last=is_last))
    return b"".join(lines), b"" if request.method == "HEAD" else response.body


def _ending(request: Request, *, is_last: bool) -> bytes:
    request_id = request.headers.get("x-request-id")
    end = b"connection: close\r\n\r\n" if is_last else b"\r\n"
    return b"x-request-id: %b\r\n%b" % (request_id.encode("utf-8", "surrogateescape"), end) if request_id else end


@lru_cache(maxsize=16)
def _beginning(content_type: str, second: int) -> bytes:
    line = b"content-type: %b\r\n" % encode_value("content-type", content_type) if content_type else b""
    return _status_line(200) + _date(second) + line


@lru_cache(maxsize=128)
def _status_line(status: int) -> bytes:
    phrase = HTTPStatus(status).phrase if status in HTTPStatus.__members__.values() else ""
    return f"HTTP/1.1 {status} {phrase}\r\n".encode("ascii")


@lru_cache(maxsize=1)
def _date(second: int) -> bytes:
    return f"date: {formatdate(second, usegmt=True)}\r\n".encode("ascii")
