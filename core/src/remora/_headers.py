"""
Names and values that may stand in a header, on any wire.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from remora.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_VALUE = re.compile(r"[\x20-\x7e\x80-\xff]*")
_WORD = re.compile(r"[A-Za-z0-9_.$-]*")


def checked_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """
    The headers with their names in lower case.

    Raises:
        InvalidRequest: A name or a value cannot be sent; a value's content is not repeated, it may be a secret.
    """
    lowered = {name.lower(): value for name, value in (headers or {}).items()}
    for name, value in lowered.items():
        if not _NAME.fullmatch(name):
            raise InvalidRequest(f"the header name {name!r} has a character that no wire can carry")
        if not _VALUE.fullmatch(value):
            raise InvalidRequest(f"the value of header {name!r} has a character that no wire can carry")
    return lowered


def checked_word(kind: str, word: str) -> str:
    """
    A service's or method's name, unchanged.

    Raises:
        InvalidRequest: It has a character that could mean something else on a wire.
    """
    if not _WORD.fullmatch(word):
        raise InvalidRequest(f"the {kind} name {word!r} has a character that no wire can carry")
    return word
