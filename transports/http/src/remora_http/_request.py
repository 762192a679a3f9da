"""
The headers of a request: what a call says about itself, as HTTP carries it.

What lives here: a call in, headers out. What must not: connections, clocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remora.errors import InvalidRequest
from remora_http._headers import encode_headers, encode_value
from remora_http._status import format_timeout

if TYPE_CHECKING:
    from remora.config import ConnectionConfig
    from remora.types import Call
    from remora_http._headers import RawHeaders

_AGENT = (b"user-agent", b"remora")
_VERSION = (b"connect-protocol-version", b"1")


def connection_headers(authority: str, connection: ConnectionConfig) -> RawHeaders:
    """
    What every request to a server begins with.
    """
    encoding = b"identity" if connection.disable_compression else b"gzip"
    headers = [
        (b"host", authority.encode("ascii")),
        (b"accept-encoding", encoding),
    ]
    return headers if connection.keep_alive else [*headers, (b"connection", b"close")]


def call_headers(call: Call, *, remaining: float | None) -> RawHeaders:
    """
    What the request of a call adds.

    Args:
        call: The call.
        remaining: Seconds that are left for it, more than 0; None for no limit.

    Raises:
        InvalidRequest: A header cannot be sent.
    """
    try:
        headers = encode_headers(call.headers)
        own = {"content-type": call.content_type, "x-request-id": call.request_id}
        headers += [(name.encode(), encode_value(name, value)) for name, value in own.items() if value]
    except ValueError as exc:
        raise InvalidRequest(str(exc)) from exc
    headers += [_VERSION, (b"content-length", b"%d" % len(call.payload))]
    if remaining is not None:
        headers.append((b"connect-timeout-ms", format_timeout(remaining).encode()))
    return headers if "user-agent" in call.headers else [*headers, _AGENT]
