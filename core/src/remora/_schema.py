"""
JSON Schema (2020-12) of record types, as the JSON codec writes them.

What lives here: types to schemas. What must not: values, files.
"""

from __future__ import annotations

import inspect
import json
import re
from collections import Counter, abc
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, Flag
from pathlib import Path, PurePath
from typing import Any, get_args, get_origin
from uuid import UUID

from remora._structure import Field, is_record, record_fields, record_type
from remora._structure._fields import MISSING, bare, is_union, literal_values
from remora.codecs import JsonCodec

__all__ = ["json_schema"]

Schema = dict[str, object]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"

_SCALARS: dict[object, Schema] = {
    str: {"type": "string"},
    int: {"type": "integer"},
    float: {"type": "number"},
    bool: {"type": "boolean"},
    None: {"type": "null"},
    type(None): {"type": "null"},
    datetime: {"type": "string", "format": "date-time"},
    date: {"type": "string", "format": "date"},
    time: {"type": "string", "format": "time"},
    timedelta: {"type": "number"},
    UUID: {"type": "string", "format": "uuid"},
    Decimal: {"type": "string"},
    bytes: {"type": "string", "contentEncoding": "base64"},
    Path: {"type": "string"},
    PurePath: {"type": "string"},
}


def json_schema(type_: object, *, closed: bool = False) -> Schema:
    """
    The schema of what the JSON codec writes for a type. Types that it does not know allow any value.

    Args:
        type_: A record type, or any type that a field of one may have.
        closed: Whether records allow no other keys than their own.
    """
    writer = _Writer(closed=closed)
    return {"$schema": _DIALECT, **writer.document(type_)}


class _Writer:
    def __init__(self, *, closed: bool) -> None:
        self._closed = closed
        self._definitions: dict[str, Schema] = {}
        self._names: dict[object, str] = {}
        self._references: Counter[str] = Counter()
        self._codec = JsonCodec()

    def document(self, type_: object) -> Schema:
        """
        The schema of a type, with all definitions that it refers to.
        """
        root = self.schema(type_)
        name = self._names.get(bare(type_), "")
        if self._references[name] == 1:
            root = self._definitions.pop(name)
        return {**root, **({"$defs": self._definitions} if self._definitions else {})}

    def schema(self, type_: object) -> Schema:
        """
        The schema of a type; a reference for a record.
        """
        type_ = bare(type_)
        if is_record(type_):
            return self._reference(type_)
        if values := literal_values(type_):
            return _enumeration(values)
        if is_union(type_):
            return {"anyOf": [self.schema(member) for member in get_args(type_)]}
        return self._scalar(type_) or self._collection(type_) or {}

    def _scalar(self, type_: Any) -> Schema | None:
        if isinstance(type_, type) and issubclass(type_, Enum):
            values: Schema = {"type": "integer"} if issubclass(type_, Flag) else _enumeration(tuple(type_))
            return {**values, **_description(type_)}
        bases = inspect.getmro(type_) if isinstance(type_, type) else (type_,)
        return next((dict(_SCALARS[base]) for base in bases if base in _SCALARS), None)

    def _collection(self, type_: Any) -> Schema | None:
        cls, arguments = get_origin(type_) or type_, get_args(type_)
        if not isinstance(cls, type):
            return None
        if issubclass(cls, abc.Mapping):
            return self._mapping(int if issubclass(cls, Counter) else (*arguments, object, object)[1])
        if cls is tuple and get_origin(type_) and arguments[1:] != (Ellipsis,):
            return self._tuple(arguments)
        if issubclass(cls, abc.Collection) or cls is abc.Iterable:
            unique: Schema = {"uniqueItems": True} if issubclass(cls, abc.Set) else {}
            return {"type": "array", **self._items(arguments), **unique}
        return None

    def _mapping(self, value: object) -> Schema:
        schema = self.schema(value)
        return {"type": "object", **({"additionalProperties": schema} if schema else {})}

    def _items(self, arguments: tuple[object, ...]) -> Schema:
        schema = self.schema(arguments[0]) if arguments else {}
        return {"items": schema} if schema else {}

    def _tuple(self, arguments: tuple[object, ...]) -> Schema:
        first: Schema = {"prefixItems": [self.schema(argument) for argument in arguments]} if arguments else {}
        return {"type": "array", **first, "minItems": len(arguments), "maxItems": len(arguments)}

    def _reference(self, type_: object) -> Schema:
        if type_ not in self._names:
            name = self._names[type_] = self._free_name(type_)
            self._definitions[name] = {}
            self._definitions[name] = self._record(type_)
        self._references[self._names[type_]] += 1
        return {"$ref": f"#/$defs/{self._names[type_]}"}

    def _free_name(self, type_: object) -> str:
        words = [getattr(get_origin(each) or each, "__name__", str(each)) for each in (type_, *get_args(type_))]
        base = re.sub(r"\W+", "_", "_".join(words))
        names = (base, *(f"{base}_{number}" for number in range(2, len(self._definitions) + 3)))
        return next(name for name in names if name not in self._definitions)

    def _record(self, type_: object) -> Schema:
        fields = record_fields(type_)
        required = [field.name for field in fields if field.required]
        return {
            "type": "object",
            **_description(record_type(type_)),
            "properties": {field.name: self._property(field) for field in fields},
            **({"required": required} if required else {}),
            **({"additionalProperties": False} if self._closed else {}),
        }

    def _property(self, field: Field) -> Schema:
        schema = self.schema(field.type)
        if field.default is MISSING:
            return schema
        try:
            return {**schema, "default": json.loads(self._codec.encode(field.default))}
        except ValueError:
            return schema


def _enumeration(values: tuple[object, ...]) -> Schema:
    return {"enum": [value.value if isinstance(value, Enum) else value for value in values]}


def _description(cls: Any) -> Schema:
    # Python gives dataclasses and NamedTuples without a docstring their signature, and enumerations a fixed sentence.
    own = vars(cls).get("__doc__")  # since Python 3.15 an object that writes that signature, for dataclasses
    text = inspect.cleandoc(own) if isinstance(own, str) else ""
    if not text or text.startswith(f"{cls.__name__}(") or text == "An enumeration.":
        return {}
    return {"description": " ".join(text.split("\n\n")[0].split())}
