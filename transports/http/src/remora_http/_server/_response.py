"""
Responses: how a reply or an error is written as HTTP.

What lives here: replies and errors in, status, headers and body out. What must not: ASGI.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from remora.errors import Code, PluginError
from remora.wire import too_large
from remora_http._failure import encode_failure
from remora_http._headers import RawHeaders, encode_headers, encode_value
from remora_http._status import STATUS_OF_CODE, format_retry_after

if TYPE_CHECKING:
    from remora.errors import RemoraError
    from remora.types import Reply


@dataclass(frozen=True, slots=True)
class Response:
    """
    One response, complete.
    """

    status: int
    headers: RawHeaders
    body: bytes


def success(reply: Reply, *, limit: int) -> Response:
    """
    The response for a reply.

    Raises:
        MessageTooLarge: The reply is over the limit.
        ValueError: A header cannot be sent.
    """
    if len(reply.payload) > limit:
        raise too_large("reply", limit)
    return Response(200, _headers(reply.content_type, reply.payload) + encode_headers(reply.headers), reply.payload)


def failure(error: RemoraError, *, status: int | None = None) -> Response:
    """
    The response for an error.

    Args:
        error: The error.
        status: The HTTP status, when it is not that of the error's code.

    Raises:
        ValueError: Its headers or its details cannot be sent.
    """
    body = encode_failure(error)
    headers = _headers("application/json", body)
    if isinstance(error, PluginError):
        headers += [pair for pair in encode_headers(error.headers) if pair[0] != b"retry-after"]
    if error.retry_after is not None:
        headers.append((b"retry-after", format_retry_after(error.retry_after).encode()))
    return Response(status or STATUS_OF_CODE[error.code], headers, body)


def not_allowed() -> Response:
    """
    The response to a verb that is not POST.
    """
    response = failure(PluginError("calls are made with POST", code=Code.UNIMPLEMENTED), status=405)
    return Response(response.status, [*response.headers, (b"allow", b"POST")], response.body)


def _headers(content_type: str, body: bytes) -> RawHeaders:
    headers = [(b"content-length", b"%d" % len(body))]
    return [(b"content-type", encode_value("content-type", content_type)), *headers] if content_type else headers
