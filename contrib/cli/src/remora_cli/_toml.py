"""
Plain values as TOML, each key with a remark behind it.

What lives here: writing. What must not: what the values mean.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_COLUMN = 40


def toml_lines(tables: Mapping[str, Any], remark: Callable[[tuple[str, ...]], str] = lambda path: "") -> Iterator[str]:
    """
    The lines of a document.

    Args:
        tables: What to write. TOML has no null: keys with None are left out, and items written as text.
        remark: What to write behind the key at a path; nothing where it is empty.
    """
    yield from _table(tables, (), remark)


def _table(values: Mapping[str, Any], path: tuple[str, ...], remark: Callable[[tuple[str, ...]], str]) -> Iterator[str]:
    tables = {key: value for key, value in values.items() if isinstance(value, dict) and value}
    rest = {key: value for key, value in values.items() if key not in tables and value is not None}
    if path and (rest or not tables):
        yield ""
        yield f"[{'.'.join(map(_key, path))}]"
    for key, value in rest.items():
        line = f"{_key(key)} = {_value(value)}"
        words = remark((*path, key))
        yield f"{line:{_COLUMN}}  # {words}" if words else line
    for key, value in tables.items():
        yield from _table(value, (*path, key), remark)


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _text(key)


def _value(value: object) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        inner = ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items() if each is not None)
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    if value is None:
        return _text("null")
    return f"{value:g}" if isinstance(value, float) and value.is_integer() and abs(value) < 1e6 else str(value)


def _text(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
