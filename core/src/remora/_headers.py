"""
What every wire can carry: names and values of headers, identifiers of calls, names of services and methods.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from remora.errors import InvalidRequest
from remora.wire import is_reserved

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NAME = re.compile(r"[a-z0-9_.-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")
_IDENTIFIER = re.compile(r"[\x21-\x7e]{1,256}")
_WORD = re.compile(r"[A-Za-z0-9_.$-]*")


def checked_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """
    The headers with their names in lower case, and no spaces around their values. What is allowed is what every wire
    carries, so that a call does not depend on its wire.

    Raises:
        InvalidRequest: They are no mapping, or a name or a value cannot be sent; the value is not in the message, since
            it may be a secret.
    """
    lowered: dict[str, str] = {}
    try:
        items: Iterable[tuple[object, object]] = (headers or {}).items()
    except AttributeError:
        kind = type(headers).__name__
        raise InvalidRequest(f"headers are a mapping of names to values, as a dict is, not a {kind}") from None
    for given, value in items:
        name = given.lower() if isinstance(given, str) else ""
        if why := _objection(name):
            raise InvalidRequest(f"the header {given!r:.100} cannot be sent: {why}")
        if name in lowered:
            raise InvalidRequest(f"the header {name!r} is given twice")
        if not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise InvalidRequest(f"the header {name!r} cannot be sent: its value is to be text of printable ASCII")
        lowered[name] = value.strip()
    return lowered


@lru_cache(maxsize=1024)
def _objection(name: str) -> str:
    """
    Why no header can have a name; empty when one can.
    """
    if not _NAME.fullmatch(name):
        return "a name is made of letters, digits, '-', '_' and '.'"
    if name == "x-request-id":
        return "it is the identifier of the call, which `request_id` sets"
    return "a wire sets it by itself" if is_reserved(name) else ""


def checked_request_id(request_id: str) -> str:
    """
    The identifier of a call, unchanged.

    Raises:
        InvalidRequest: It is no text or empty, or has a character that cannot be sent or would break a line of a log.
    """
    checked_text("request id", request_id)
    if not _IDENTIFIER.fullmatch(request_id):
        raise InvalidRequest(f"the request id {request_id[:40]!r} has a character that no wire can carry")
    return request_id


def checked_word(kind: str, word: str) -> str:
    """
    A service's or method's name, unchanged.

    Raises:
        InvalidRequest: It is no text, or has a character that could mean something else on a wire.
    """
    checked_text(f"{kind} name", word)
    if not is_word(word):
        raise InvalidRequest(f"the {kind} name {word!r} has a character that no wire can carry")
    return word


def is_word(text: str) -> bool:
    """
    Whether a text may be the name of a service or a method on every wire; the empty one stands for the only one.
    """
    return bool(_WORD.fullmatch(text))


def checked_text(kind: str, text: str) -> str:
    """
    A text, unchanged.

    Raises:
        InvalidRequest: It is none.
    """
    given: object = text
    if not isinstance(given, str):
        raise InvalidRequest(f"the {kind} is to be text, not {given!r:.40}")
    return given
