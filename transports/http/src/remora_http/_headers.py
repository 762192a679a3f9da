"""
Headers: which of them belong to the plugin and its caller, and which to HTTP itself.

What lives here: names and values. What must not: what any header means.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from remora.wire import is_reserved
from remora_http._remembered import remembered

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RawHeaders = list[tuple[bytes, bytes]]

_MOST_KNOWN = 24
_MOST_KNOWN_BYTES = 256
"""Of a header's name and value together."""
_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def size_of(headers: RawHeaders) -> int:
    """
    The bytes of the lines of headers.
    """
    return sum(len(name) + len(value) + len(": \r\n") for name, value in headers)


def encode_headers(headers: Mapping[str, str]) -> RawHeaders:
    """
    The caller's headers as HTTP carries them, without those that are reserved.

    Raises:
        ValueError: A name or a value cannot be sent. The message names the header, but never quotes its value.
    """
    named = ((sendable_name(name), value) for name, value in headers.items())
    return [(name.encode(), encode_value(name, value)) for name, value in named if name]


@lru_cache(maxsize=1024)
def sendable_name(name: str) -> str:
    """
    The name of a caller's header, in lower case; empty when it is reserved.

    Raises:
        ValueError: It is not a valid header name.
    """
    name = name.lower()
    if is_reserved(name):
        return ""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not a valid name for a header")
    return name


def encode_value(name: str, value: str) -> bytes:
    """
    The bytes of a header's value.

    Raises:
        ValueError: It has a line break or another control character.
    """
    return check_value(name, value).encode("utf-8", "surrogateescape")


def check_value(name: str, value: str) -> str:
    """
    A header's value as it can be sent.

    Raises:
        ValueError: It has a line break or another control character.
    """
    if not value.isprintable() and _FORBIDDEN.search(value):  # the pattern alone would take twice as long
        raise ValueError(f"the value of the header {name!r} has a control character")
    return value.strip(" \t")


def decode_headers(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """
    Headers that have arrived, with names in lower case; values of equal names are joined by a comma.
    """
    headers: dict[str, str] = {}
    for raw_name, raw_value in raw:
        name, value = _decode_name(raw_name), _decode_value(raw_value)
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


class HeaderReader:
    """
    Reads the headers of messages from one peer, most of which are the same each time.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, bytes], tuple[str, str, bool]] = {}

    def read(self, raw: RawHeaders) -> tuple[dict[str, str], dict[str, str]]:
        """
        The headers as `decode_headers` returns them, and again without those that are reserved.
        """
        headers: dict[str, str] = {}
        own: dict[str, str] = {}
        for pair in raw:
            name, value, is_own = self._known.get(pair) or self._learn(pair)
            if name in headers:
                value = f"{headers[name]}, {value}"
            headers[name] = value
            if is_own:
                own[name] = value
        return headers, own

    def _learn(self, pair: tuple[bytes, bytes]) -> tuple[str, str, bool]:
        name = _decode_name(pair[0])
        found = name, _decode_value(pair[1]), not is_reserved(name)
        if len(self._known) < _MOST_KNOWN and len(pair[0]) + len(pair[1]) < _MOST_KNOWN_BYTES:
            self._known[pair] = found
        return found


def _decode_name(name: bytes) -> str:
    return name.decode("latin-1").lower()


def _decode_value(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def without_reserved(headers: Mapping[str, str]) -> dict[str, str]:
    """
    The headers that belong to the plugin and its caller.
    """
    return {name: value for name, value in headers.items() if not is_reserved(name)}


@remembered
def media_type(value: str) -> str:
    """
    The media type of a Content-Type header, in lower case and without its parameters.
    """
    return value.partition(";")[0].strip().lower()
