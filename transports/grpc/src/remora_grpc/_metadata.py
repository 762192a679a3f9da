"""
Headers as gRPC's metadata, and back.

What lives here: names, values, and which of them are gRPC's own. What must not: calls, statuses, I/O.

gRPC allows names of `a-z 0-9 - _ .` and values of printable ASCII; a name that ends in `-bin` has bytes for its value,
which stand as base64 text in Remora's headers, as they do on the wire.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode, b64encode
from typing import TYPE_CHECKING

from remora.errors import InvalidRequest
from remora.wire import is_reserved

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REQUEST_ID = "x-request-id"
CONTENT_TYPE = "remora-content-type"
"""The payload's media type. grpcio always writes `application/grpc` as the content type, whatever it is given."""

Pair = tuple[str, str | bytes]

_OWN = frozenset({REQUEST_ID, CONTENT_TYPE})
_AGENT = "user-agent"
"""The name of the client, which grpcio does not let anybody change."""
_NAME = re.compile(r"[a-z0-9_.-]+")


def pack(headers: Mapping[str, str]) -> list[Pair]:
    """
    Headers as metadata, without those that belong to the connection or to gRPC itself.

    Raises:
        InvalidRequest: gRPC cannot carry a name or a value.
    """
    return [_pack(name.lower(), value) for name, value in headers.items() if not _is_left_out(name.lower())]


def unpack(metadata: Iterable[Pair]) -> tuple[dict[str, str], dict[str, str]]:
    """
    Metadata as the plugin's headers, and the entries of Remora's own. Values of one name are joined by commas.
    """
    headers: dict[str, str] = {}
    own: dict[str, str] = {}
    for name, value in metadata:
        text = value if isinstance(value, str) else b64encode(value).decode().rstrip("=")
        if name in _OWN:
            own[name] = text
        elif not _is_left_out(name):
            headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return headers, own


def find(metadata: Iterable[Pair], wanted: str) -> str | bytes | None:
    """
    The last value of a name.
    """
    found: str | bytes | None = None
    for name, value in metadata:
        found = value if name == wanted else found
    return found


def check_value(name: str, value: str) -> str:
    """
    The value, when gRPC can carry it.

    Raises:
        InvalidRequest: It cannot.
    """
    if not (value.isascii() and value.isprintable()):
        raise InvalidRequest(f"header {name!r}: gRPC carries only printable ASCII characters")
    return value


def _is_left_out(name: str) -> bool:
    return name == _AGENT or is_reserved(name)


def _pack(name: str, value: str) -> Pair:
    if not _NAME.fullmatch(name):
        raise InvalidRequest(f"{name!r} is not a valid name for a header")
    if name.endswith("-bin"):
        return name, _bytes_of(name, value)
    return name, check_value(name, value)


def _bytes_of(name: str, value: str) -> bytes:
    try:
        return b64decode(value + "=" * (-len(value) % 4), validate=True)
    except (ValueError, binascii.Error) as error:
        raise InvalidRequest(f"header {name!r}: the value of a -bin header is base64") from error
