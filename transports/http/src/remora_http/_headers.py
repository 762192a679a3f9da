"""
Headers: which of them belong to the plugin and its caller, and which to HTTP itself.

What lives here: names and values. What must not: what any header means.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RawHeaders = list[tuple[bytes, bytes]]

_RESERVED = frozenset(
    {
        "accept-encoding",
        "connect-protocol-version",
        "connect-timeout-ms",
        "connection",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-request-id",
    }
)
_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def is_reserved(name: str) -> bool:
    """
    Whether a header, by its name in lower case, is the business of HTTP or of this transport.
    """
    return name in _RESERVED or name.startswith("content-")


def encode_headers(headers: Mapping[str, str]) -> RawHeaders:
    """
    The caller's headers as HTTP carries them, without those that are reserved.

    Raises:
        ValueError: A name or a value cannot be sent. The message names the header and never quotes its value.
    """
    named = ((name.lower(), value) for name, value in headers.items())
    return [(_encode_name(name), encode_value(name, value)) for name, value in named if not is_reserved(name)]


def _encode_name(name: str) -> bytes:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name for a header")
    return name.encode("ascii")


def encode_value(name: str, value: str) -> bytes:
    """
    The bytes of a header's value.

    Raises:
        ValueError: It has a line break or another control character.
    """
    if _FORBIDDEN.search(value):
        raise ValueError(f"the value of the header {name!r} has a control character")
    return value.strip(" \t").encode("utf-8", "surrogateescape")


def decode_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """
    Headers as they arrived, names in lower case; the values of equal names are joined by a comma.
    """
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1").lower(), _decode_value(raw_value)
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _decode_value(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def without_reserved(headers: Mapping[str, str]) -> dict[str, str]:
    """
    Those headers that are the business of the plugin and its caller.
    """
    return {name: value for name, value in headers.items() if not is_reserved(name)}


def media_type(value: str) -> str:
    """
    The media type of a Content-Type header, in lower case and without its parameters.
    """
    return value.partition(";")[0].strip().lower()
