"""
The description of a plugin for people: a signature for each method, and below them the records that these name.

What lives here: schemas to text. What must not: where descriptions come from.
"""

from __future__ import annotations

import json
from textwrap import wrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from remora.types import MethodInfo, PluginInfo

    Schema = Mapping[str, Any]

_WIDTH = 100


def lines_of(info: PluginInfo) -> Iterator[str]:
    """
    The lines.
    """
    yield " ".join([info.name, info.version]).strip()
    yield from _indented(info.description, 2)
    services = dict.fromkeys(method.service for method in info.methods)
    for service in services:
        yield from ["", service] if list(services) != [info.name] else []
        for method in info.methods:
            if method.service == service:
                yield from _method(method)
    if named := _named_in(info.methods):
        yield from ["", "types"]
        for name, schema in named:
            yield from _type(name, schema)


def _method(method: MethodInfo) -> Iterator[str]:
    is_record = "properties" in method.request
    fields = list(_fields(method.request)) if is_record else [_words(method.request)]
    end = f") -> {_words(method.response)}{'  (idempotent)' if method.idempotent else ''}"
    whole = f"  {method.name}({', '.join(fields)}{end}"
    yield ""
    if len(whole) <= _WIDTH or not is_record:
        yield whole
    else:
        yield from [f"  {method.name}(", *(f"      {each}," for each in fields), f"  {end}"]
    yield from _indented(method.description, 6)


def _type(name: str, schema: Schema) -> Iterator[str]:
    is_record = "properties" in schema
    head = name if is_record else f"{name} = {_words(schema)}"
    yield "  ".join(["", head, *str(schema.get("description", "")).split("\n")[:1]]).rstrip()
    for each in _fields(schema) if is_record else ():
        yield f"      {each}"


def _indented(text: str, by: int) -> list[str]:
    indent = " " * by
    return wrap(text, _WIDTH, initial_indent=indent, subsequent_indent=indent)


def _named_in(methods: Sequence[MethodInfo]) -> list[tuple[str, Schema]]:
    """
    The records that have a name; two of the same name are both there where they differ.
    """
    found: list[tuple[str, Schema]] = []
    for method in methods:
        for schema in (method.request, method.response):
            found += [each for each in _defined(schema) if each not in found]
    return sorted(found, key=lambda each: each[0])


def _defined(schema: Schema) -> list[tuple[str, Schema]]:
    return list(schema.get("$defs", {}).items())


def _fields(schema: Schema) -> Iterator[str]:
    """
    The fields of a record, each with its default; one that may be missing and has none has a question mark.
    """
    required = schema.get("required", ())
    for name, each in schema["properties"].items():
        default = f" = {json.dumps(each['default'], ensure_ascii=False)}" if "default" in each else ""
        yield f"{name}{'' if default or name in required else '?'}: {_words(each)}{default}"


def _words(schema: Schema) -> str:
    """
    A type in a few words.
    """
    if name := str(schema.get("$ref", "")).removeprefix("#/$defs/"):
        return name
    if "properties" in schema:
        return f"{{{', '.join(_fields(schema))}}}"
    if "anyOf" in schema:
        return " | ".join(map(_words, schema["anyOf"]))
    if "enum" in schema:
        return " | ".join(json.dumps(each, ensure_ascii=False) for each in schema["enum"])
    if schema.get("type") == "array":
        return f"[{', '.join(map(_words, schema.get('prefixItems', ()))) or _words(schema.get('items', {}))}]"
    if isinstance(schema.get("additionalProperties"), dict):
        return f"{{string: {_words(schema['additionalProperties'])}}}"
    return str(schema.get("format") or schema.get("contentEncoding") or schema.get("type") or "any")
