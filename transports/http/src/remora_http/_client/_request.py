"""
The headers of a request: the metadata of a call, as HTTP carries it.

What lives here: a call in, headers out. What must not: connections, clocks.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from remora.errors import InvalidRequest
from remora_http._headers import check_value, encode_headers, encode_value, sendable_name
from remora_http._status import format_timeout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remora.config import ConnectionConfig
    from remora.types import Call
    from remora_http._address import Address
    from remora_http._headers import RawHeaders

_AGENT = (b"user-agent", b"remora")
_AGENT_LINE = "user-agent: remora\r\n"
_VERSION = (b"connect-protocol-version", b"1")


def connection_headers(authority: str, connection: ConnectionConfig) -> RawHeaders:
    """
    The headers that every request to a server begins with.
    """
    encoding = b"identity" if connection.disable_compression else b"gzip"
    headers = [
        (b"host", authority.encode("ascii")),
        (b"accept-encoding", encoding),
    ]
    return headers if connection.keep_alive else [*headers, (b"connection", b"close")]


def call_headers(call: Call, *, remaining: float | None) -> RawHeaders:
    """
    The headers that the request of a call adds.

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


class HeadWriter:
    """
    Writes the heads of requests to one server; the parts that are always the same are encoded only once.
    """

    def __init__(self, address: Address, connection: ConnectionConfig) -> None:
        pairs = connection_headers(address.authority, connection)
        self._address = address
        self._beginning = "".join(f"{name.decode()}: {value.decode()}\r\n" for name, value in pairs)
        self._prefix = lru_cache(maxsize=256)(self._write_prefix)

    def post(self, call: Call, *, remaining: float | None, target: str = "") -> bytes:
        """
        The head of the request for a call.

        Args:
            call: The call.
            remaining: Seconds that are left for it, more than 0; None for no limit.
            target: The path and query to send it to; empty for those of the call.

        Raises:
            InvalidRequest: A name or a header cannot be sent.
        """
        try:
            if target:
                beginning = self._write_beginning(target, call.content_type)
            else:
                beginning = self._prefix(call.service, call.method, call.content_type)
            own = _own_lines(call.headers) if call.headers else _AGENT_LINE
            number = f"x-request-id: {check_value('x-request-id', call.request_id)}\r\n" if call.request_id else ""
        except ValueError as exc:
            raise InvalidRequest(str(exc)) from exc
        timeout = "" if remaining is None else f"connect-timeout-ms: {format_timeout(remaining)}\r\n"
        size = f"content-length: {len(call.payload)}\r\n\r\n"
        return f"{beginning}{own}{number}{timeout}{size}".encode("utf-8", "surrogateescape")

    def get(self, target: str) -> bytes:
        """
        The head of the request for a page.
        """
        return f"GET {target} HTTP/1.1\r\n{self._beginning}{_AGENT_LINE}\r\n".encode("ascii")

    def _write_prefix(self, service: str, method: str, content_type: str) -> str:
        return self._write_beginning(self._address.target(service, method), content_type)

    def _write_beginning(self, target: str, content_type: str) -> str:
        content = f"content-type: {check_value('content-type', content_type)}\r\n" if content_type else ""
        return f"POST {target} HTTP/1.1\r\n{self._beginning}connect-protocol-version: 1\r\n{content}"


def _own_lines(headers: Mapping[str, str]) -> str:
    lines = "" if "user-agent" in headers else _AGENT_LINE
    for name, value in headers.items():
        if own := sendable_name(name):
            lines += f"{own}: {check_value(own, value)}\r\n"
    return lines
