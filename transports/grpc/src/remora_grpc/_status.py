"""
gRPC's statuses as errors, and errors as statuses.

What lives here: codes, details, and what grpcio's texts say about connections. What must not: calls, channels.

A status that a plugin sent and one that grpcio made up for a broken connection look alike. Remora's server puts
`grpc-status-details-bin` into every status of its own, so that one is the plugin's. For other servers, the texts of
grpcio's own statuses decide, and then whether the connection still stands.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import grpc

from remora.errors import (
    Cancelled,
    CertificateRejected,
    Code,
    ConnectionLost,
    DeadlineExceeded,
    InvalidRequest,
    PluginError,
    RemoraError,
    Unavailable,
    WrongProtocol,
)
from remora.wire import decode_status, encode_status, error_from_status, too_large
from remora_grpc._metadata import Pair, find, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Sequence

DETAILS = "grpc-status-details-bin"
_PUSHBACK = "grpc-retry-pushback-ms"
_STATUS_CODES = {Code[status.name]: status for status in grpc.StatusCode if status is not grpc.StatusCode.OK}

_PREAMBLE = re.compile(r"^failed to connect to all addresses; last error: (?:[A-Z_]+: )?(?:ipv[46]:)?")
_TOO_LARGE = re.compile(r"message larger than max \([0-9]{1,15} vs\. ([0-9]{1,15})\)")
_OF_REQUEST = re.compile(r"SERVER: Received|CLIENT: Sent")
_NOT_CONNECTED = re.compile(
    r"failed to connect to all addresses|errors resolving|DNS resolution failed|empty address list|"
    r"Channel is closed|not connected"
)
_FOREIGN = re.compile(
    r"Failed parsing HTTP/2|Expected SETTINGS frame|an http1\.x server|WRONG_VERSION_NUMBER|HTTP_REQUEST|"
    r"Cannot check peer: missing selected ALPN property"
)
_NO_TLS = re.compile(r"Tls handshake failed.*WRONG_VERSION_NUMBER.*")
_HTTP_STATUS = re.compile(r"Received http2 header with status: (\d+)")
_OF_STRANGERS = frozenset({Code.INTERNAL, Code.UNIMPLEMENTED, Code.UNKNOWN})  # others may be a gateway's
_REFUSED = re.compile(r"RST_STREAM with error code 7\b")
"""REFUSED_STREAM: by the letter of HTTP/2 nobody has looked at the call."""
_BROKEN = re.compile(
    r"Socket closed|Connection (?:reset|refused|timed out)|Broken pipe|Stream removed|Stream refused|GOAWAY|"
    r"Transport closed|Endpoint closing|[Kk]eepalive|recvmsg|sendmsg|Delayed close|server_shutting_down|"
    r"Received http2 header with status|RST_STREAM|Received RST|^Cancelling all calls$",
    re.IGNORECASE,
)


_LONGEST_NUMBER = 15
"""Digits of a push-back; a number with more would be longer than anybody waits."""
_NEVER = -1.0
"""The push-back for "do not retry"; by gRFC A6, every value says so that is not a number of milliseconds."""


def error_from_rpc(error: grpc.aio.AioRpcError, *, connected: bool) -> RemoraError:
    """
    What Remora raises for grpcio's error.

    Args:
        error: The error of a call.
        connected: Whether the channel has a connection now.
    """
    metadata: list[Pair] = [*(error.initial_metadata() or ()), *(error.trailing_metadata() or ())]
    code, message = Code[error.code().name], error.details() or ""
    data = find(metadata, DETAILS)
    made = _local_error(code, message, connected=connected) if data is None else None
    return _caused(made or _sent_error(code, message, data, metadata), error)


def connection_error(error: grpc.aio.AioRpcError) -> RemoraError:
    """
    What Remora raises when grpcio's error says why there is no connection.
    """
    return _caused(_not_connected(error.details() or ""), error)


def rejection(error: RemoraError) -> tuple[grpc.StatusCode, str, tuple[Pair, ...]]:
    """
    Code, message and trailing metadata of the status that carries an error.
    """
    trailing: list[Pair] = [*_headers(error), (DETAILS, encode_status(error))]
    if error.retry_after is not None:
        trailing.append((_PUSHBACK, _pushback_of(error.retry_after)))
    return _STATUS_CODES[error.code], error.message, tuple(trailing)


def _headers(error: RemoraError) -> list[Pair]:
    try:
        return pack(error.headers) if isinstance(error, PluginError) else []
    except InvalidRequest:  # the answer matters more than headers that gRPC cannot carry
        return []


def oversize_text(size: int, limit: int) -> str:
    """
    The words that gRPC libraries use for a reply over the limit, so that any of them is understood by its caller.
    """
    return f"SERVER: Sent message larger than max ({size} vs. {limit})"


def _caused(made: RemoraError, cause: BaseException) -> RemoraError:
    # Without its traceback, whose frames hold objects of grpcio (see `_client`).
    made.__cause__ = cause.with_traceback(None)
    return made


_REJECTIONS = {
    "certificate has expired": "expired",
    "certificate is not yet valid": "not-yet-valid",
    "Hostname Verification Check failed": "wrong-host",
    "is not in peer certificate": "wrong-host",
    "unable to get local issuer certificate": "unknown-authority",
    "self signed certificate": "unknown-authority",
    "self-signed certificate": "unknown-authority",
}


def _rejected_certificate(message: str) -> CertificateRejected | None:
    found = next((words for words in _REJECTIONS if words in message), None)
    if found is None:
        return None
    reason = _REJECTIONS[found]
    words = "it is not for this host" if reason == "wrong-host" else found
    return CertificateRejected(f"the server's certificate is not accepted: {words}", reason=reason)


def _not_connected(message: str) -> RemoraError:
    if rejected := _rejected_certificate(message):
        return rejected
    text = _NO_TLS.sub("the server does not speak TLS", _PREAMBLE.sub("", message)) or "no connection"
    error: RemoraError = WrongProtocol(text) if _FOREIGN.search(message) else Unavailable(text)
    error.sent = False
    return error


def _local_error(code: Code, message: str, *, connected: bool) -> RemoraError | None:
    if code in _OF_STRANGERS and (found := _HTTP_STATUS.search(message)):
        return WrongProtocol(f"what answers speaks HTTP, but not gRPC: its answer is status {found[1]}")
    if code is Code.RESOURCE_EXHAUSTED and (found := _TOO_LARGE.search(message)):
        return too_large("request" if _OF_REQUEST.search(message) else "reply", int(found[1]))
    if code is Code.DEADLINE_EXCEEDED:
        return DeadlineExceeded("the time for the call is over")
    if code is Code.CANCELLED:
        return _local_cancellation(message)
    return _local_outage(message, connected=connected) if code is Code.UNAVAILABLE else None


def _local_cancellation(message: str) -> RemoraError | None:
    # A server of grpcio drops calls that way which have waited too long in too long a queue.
    if message in ("", "CANCELLED"):
        return Unavailable("the plugin's gRPC server dropped the call: it is overloaded, or it is stopping")
    return Cancelled(_without_prefix(message)) if _BROKEN.search(message) else None


def _local_outage(message: str, *, connected: bool) -> RemoraError | None:
    if _NOT_CONNECTED.search(message):
        return _not_connected(message)
    if _REFUSED.search(message):
        return Unavailable("the plugin's gRPC server takes no more calls on this connection", sent=False)
    if _BROKEN.search(message) or not connected:
        return ConnectionLost(_without_prefix(message) or "the connection broke")
    return None


def _sent_error(code: Code, message: str, data: str | bytes | None, metadata: Sequence[Pair]) -> RemoraError:
    headers, _ = unpack(metadata)
    rich = _rich(data)
    error = error_from_status(code, message, rich.details if isinstance(rich, PluginError) else {}, headers)
    pushback = _pushback(find(metadata, _PUSHBACK))
    error.retry_after = rich.retry_after if pushback is None and rich is not None else pushback
    return error


def _rich(data: str | bytes | None) -> RemoraError | None:
    """
    The error with its details, which come beside code and message.
    """
    try:
        return decode_status(data) if isinstance(data, bytes) else None
    except ValueError:  # a foreign server's details are not worth the error that they belong to
        return None


def _pushback_of(seconds: float) -> str:
    milliseconds = seconds * 1000
    return str(round(milliseconds)) if 0 <= milliseconds < 10**_LONGEST_NUMBER - 1 else "-1"


def _pushback(value: str | bytes | None) -> float | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.isdecimal() or len(value) > _LONGEST_NUMBER:
        return _NEVER
    return int(value) / 1000


def _without_prefix(message: str) -> str:
    return message.removeprefix("Stream removed (").removesuffix(")") if "Stream removed (" in message else message
