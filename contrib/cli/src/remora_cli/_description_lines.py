"""
The description of a plugin for people: a signature for each method, and below them the records that these name.

What lives here: schemas to text. What must not: where descriptions come from.

A plugin may say anything about itself. So what is no schema stands there as "any", and nothing here takes a time that
grows faster than the description.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from textwrap import wrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from remora.types import MethodInfo, PluginInfo

    Schema = Mapping[str, object]

_WIDTH = 100
_DEEPEST = 20
"""How many schemas within each other are written."""
_LONGEST = 10_000
"""How many characters of a description are written."""


def lines_of(info: PluginInfo) -> Iterator[str]:
    """
    The lines.
    """
    yield " ".join([info.name, info.version]).strip()
    yield from _indented(info.description, 2)
    services: dict[str, list[MethodInfo]] = {}
    for method in info.methods:
        services.setdefault(method.service, []).append(method)
    is_of_that_name = list(services) == [info.name]
    for service, methods in services.items():
        yield from ["", service] if not is_of_that_name else []
        for method in methods:
            yield from _method(method)
    if named := _named_in(info.methods):
        yield from ["", "types"]
        for name, schema in named:
            yield from _type(name, schema)


def _method(method: MethodInfo) -> Iterator[str]:
    is_record = _is_record(method.request)
    fields = list(_fields(method.request)) if is_record else [_words(method.request)]
    end = f") -> {_words(method.response)}{'  (idempotent)' if method.idempotent else ''}"
    whole = f"  {method.name}({', '.join(fields)}{end}"
    yield ""
    if len(whole) <= _WIDTH or not is_record:
        yield whole
    else:
        yield from [f"  {method.name}(", *(f"      {each}," for each in fields), f"  {end}"]
    yield from _indented(method.description, 6)


def _type(name: str, schema: object) -> Iterator[str]:
    is_record = _is_record(schema)
    head = name if is_record else f"{name} = {_words(schema)}"
    description = str(_table(schema).get("description", ""))
    yield "  ".join(["", head, description.partition("\n")[0]]).rstrip()
    for each in _fields(_table(schema)) if is_record else ():
        yield f"      {each}"


def _indented(text: str, by: int) -> list[str]:
    indent = " " * by
    words = " ".join(text[:_LONGEST].split()) + (" ..." if len(text) > _LONGEST else "")
    return wrap(words, _WIDTH, initial_indent=indent, subsequent_indent=indent)


def _named_in(methods: Sequence[MethodInfo]) -> list[tuple[str, object]]:
    """
    The records that have a name; two of the same name are both there where they differ.
    """
    found: dict[tuple[str, str], object] = {}
    for method in methods:
        for schema in (method.request, method.response):
            for name, each in _table(schema.get("$defs")).items():
                found.setdefault((name, _text(each, is_sorted=True)), each)
    return sorted(((name, each) for (name, _), each in found.items()), key=lambda each: each[0])


def _is_record(schema: object) -> bool:
    return isinstance(_table(schema).get("properties"), Mapping)


def _fields(schema: Schema, depth: int = 0) -> Iterator[str]:
    """
    The fields of a record, each with its default; one that may be missing and has none has a question mark.
    """
    required = {each for each in _items(schema.get("required")) if isinstance(each, str)}
    for name, each in _table(schema.get("properties")).items():
        has_default = "default" in _table(each)
        default = f" = {_text(_table(each)['default'])}" if has_default else ""
        yield f"{name}{'' if has_default or name in required else '?'}: {_words(each, depth)}{default}"


def _words(schema: object, depth: int = 0) -> str:
    """
    A type in a few words.
    """
    table, inner = _table(schema), depth + 1
    if depth > _DEEPEST:
        return "..."
    if name := str(table.get("$ref", "")).removeprefix("#/$defs/"):
        return name
    if _is_record(schema):
        return f"{{{', '.join(_fields(table, inner))}}}"
    if alternatives := _items(table.get("anyOf")):
        return " | ".join(_words(each, inner) for each in alternatives)
    if values := _items(table.get("enum")):
        return " | ".join(_text(each) for each in values)
    if table.get("type") == "array":
        first = ", ".join(_words(each, inner) for each in _items(table.get("prefixItems")))
        return f"[{first or _words(table.get('items'), inner)}]"
    if isinstance(table.get("additionalProperties"), Mapping):
        return f"{{string: {_words(table['additionalProperties'], inner)}}}"
    return str(table.get("format") or table.get("contentEncoding") or table.get("type") or "any")


def _table(value: object) -> Schema:
    return value if isinstance(value, Mapping) else {}


def _items(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else ()


def _text(value: object, *, is_sorted: bool = False) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=is_sorted)
    except RecursionError:
        return "..."
