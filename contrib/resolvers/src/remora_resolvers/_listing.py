"""
From the text of a file to the endpoints that it lists.

What lives here: parsing. What must not: reading files.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from remora import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def parse_listing(text: str, *, priority: int = 1) -> list[Endpoint]:
    """
    The endpoints in a list in JSON.

    Args:
        text: The list: URLs, or objects with the keys of `remora.Endpoint`.
        priority: That of endpoints that have none of their own.

    Raises:
        ValueError: It is no such list; the message names the entry and the key.
    """
    try:
        entries = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(entries, list):
        raise ValueError(f"expected a list of endpoints, got {_kind(entries)}")
    return [_endpoint(entry, f"[{index}]", priority) for index, entry in enumerate(entries)]


def _endpoint(entry: object, where: str, priority: int) -> Endpoint:
    table = {"url": entry} if isinstance(entry, str) else entry
    if not isinstance(table, dict):
        raise ValueError(f"{where}: expected a URL or an object, got {_kind(entry)}")
    if unknown := [key for key in table if key not in _KEYS]:
        raise ValueError(f"{where}.{unknown[0]}: unknown key; there are: {', '.join(_KEYS)}")
    if "url" not in table:
        raise ValueError(f"{where}.url: missing")
    for key, value in table.items():
        is_right, expected = _KEYS[key]
        if not is_right(value):
            raise ValueError(f"{where}.{key}: expected {expected}, got {value!r}")
    return Endpoint(**{"priority": priority, **table})


def _is_url(value: Any) -> bool:
    return isinstance(value, str) and bool(_SCHEME.match(value))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_labels(value: Any) -> bool:
    return isinstance(value, dict) and all(isinstance(each, str) for each in value.values())


_KEYS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "url": (_is_url, "a URL with a scheme"),
    "weight": (lambda value: _is_whole(value) and value >= 0, "a whole number of at least 0"),
    "priority": (_is_whole, "a whole number"),
    "labels": (_is_labels, "an object of texts"),
}


def _kind(value: object) -> str:
    return {dict: "an object", str: "a text", type(None): "null", bool: "a boolean"}.get(type(value), "a number")
