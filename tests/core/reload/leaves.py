"""
The keys of records, down to those that take effect as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from remora.types import Endpoint

WHOLE = {"auth", "fallback", "resolver", "connection.adaptive_limit"}
"""The records that take effect as a whole, whatever changes in them."""


def leaves(record: type[Any], path: str = "") -> Iterator[str]:
    """
    The paths of all keys of a record.
    """
    hints = get_type_hints(record)
    for each in fields(record):
        inner = f"{path}.{each.name}" if path else each.name
        kind = Endpoint if inner == "endpoints" else hints[each.name]
        if is_dataclass(kind) and inner not in WHOLE:
            assert isinstance(kind, type)
            yield from leaves(kind, inner)
        elif inner != "name":
            yield inner
