"""
From a request to the call in it.

What lives here: path, headers and body in, a call out. What must not: ASGI, clocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remora.errors import InvalidRequest
from remora.wire import make_call
from remora_http._address import split_path
from remora_http._headers import media_type, without_reserved
from remora_http._status import parse_timeout

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remora.types import Call

_VERSIONS = frozenset({"", "1"})


def read_call(
    path: str,
    root: str,
    headers: Mapping[str, str],
    payload: bytes,
    *,
    now: float,
    own: Mapping[str, str] | None = None,
    identity: str = "",
) -> Call:
    """
    The call in a request.

    Args:
        path: The decoded path of the request.
        root: Where the application is mounted.
        headers: All headers, names in lower case.
        payload: The decoded body.
        now: The time on the clock of the call's deadline.
        own: The headers without those that belong to HTTP, if they are already known.
        identity: The name of the caller, from its certificate; empty when it has shown none.

    Raises:
        InvalidRequest: A header of the protocol has an invalid value.
    """
    if headers.get("connect-protocol-version", "") not in _VERSIONS:
        raise InvalidRequest("connect-protocol-version must be 1")
    service, method = split_path(path, root)
    return make_call(
        service,
        method,
        payload,
        media_type(headers.get("content-type", "")),
        without_reserved(headers) if own is None else own,
        _deadline(headers, now),
        headers.get("x-request-id", ""),
        False,
        "",
        identity,
    )


def _deadline(headers: Mapping[str, str], now: float) -> float | None:
    timeout = headers.get("connect-timeout-ms")
    if timeout is None:
        return None
    try:
        return now + parse_timeout(timeout)
    except ValueError as exc:
        raise InvalidRequest(str(exc)) from exc
