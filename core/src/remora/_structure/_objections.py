"""
Objections: why values of a type cannot travel as JSON and come out as what they were.

What lives here: reading types, once, before the first call. What must not: values.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence, Set
from enum import Enum
from inspect import Parameter, signature
from itertools import combinations
from typing import Any, get_args, get_origin, is_typeddict

from remora._structure._fields import (
    bare,
    is_named_tuple,
    is_record,
    is_union,
    literal_values,
    record_fields,
    record_type,
)

_KNOWN: tuple[object, ...] = (
    *(str, int, float, bool, bytes, None, type(None), object, Any),
    *(list, dict, tuple, set, frozenset),
)
_DISTINCT = frozenset({"uuid.UUID", "datetime.date", "datetime.datetime", "datetime.time"})
"""Texts that are never read as one another, as Remora writes them. They go by name, since a program may need none."""
_NUMBERS = frozenset({"datetime.timedelta"})
_PATHS = frozenset({"pathlib.PurePath"})
_VARIADIC = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)
_TEXTS = _DISTINCT | _PATHS | {"decimal.Decimal"}
_MESSAGE = (
    "is a Protocol Buffers message: such can be sent where request and reply both are one (google.protobuf.Empty in "
    'the place of none), after pip install "remora[codecs]"'
)
_KINDS: tuple[tuple[Any, str], ...] = (
    (type(None), "null"),
    (bool, "bool"),
    ((int, float), "number"),
    ((str, bytes), "text"),
    (Mapping, "object"),
    ((Sequence, set, frozenset), "array"),
)


def objection_to(type_: Any) -> str:
    """
    Why values of a type cannot travel; empty when they can.
    """
    return next(_objections(type_, set()), "")


def _objections(type_: Any, seen: set[Any]) -> Iterator[str]:
    type_ = bare(type_)
    try:
        if type_ in _KNOWN or type_ in seen or literal_values(type_):
            return
        seen.add(type_)
    except TypeError:  # of types, a few cannot be looked up
        return
    parts: Sequence[Any] = get_args(type_)
    if is_union(type_):
        yield from _confusions(type_)
    elif is_record(type_):
        yield from _lacks(type_)
        parts = [field.type for field in _fields(type_)]
    elif _is_unknown(type_):
        yield f"{_name(type_)} {_MESSAGE if hasattr(type_, 'SerializeToString') else 'is no type that can be sent'}"
        return
    for part in parts:
        yield from _objections(part, seen)


def _lacks(type_: Any) -> Iterator[str]:
    """
    What the constructor of a dataclass needs and no field holds, such as an `InitVar`.
    """
    cls = record_type(type_)
    if cls is None or not dataclasses.is_dataclass(cls):
        return
    held = {field.name for field in dataclasses.fields(cls)}
    for each in signature(cls).parameters.values():
        if each.default is each.empty and each.kind not in _VARIADIC and each.name not in held:
            yield f"{_name(type_)} cannot be made again: its constructor needs {each.name!r}, which is no field"


def _is_unknown(type_: Any) -> bool:
    """
    Whether no converter knows what to make of a class.
    """
    cls = get_origin(type_) or type_
    if not isinstance(cls, type) or cls in _KNOWN or issubclass(cls, Enum) or _path(cls) in _TEXTS | _NUMBERS:
        return False
    from cattrs import StructureHandlerNotFoundError

    from remora._structure._converter import make_converter  # only odd types need it

    try:
        make_converter().get_structure_hook(type_)
    except StructureHandlerNotFoundError:
        return True
    except Exception:  # the hook of somebody's class may not be made; calls say why
        return False
    return False


def _confusions(type_: Any) -> Iterator[str]:
    members = [bare(member) for member in get_args(type_)]
    for first, second in combinations(members, 2):
        if why := _confusion(first, second):
            yield f"{_name(first)} | {_name(second)} cannot be told apart: {why}"


def _confusion(first: Any, second: Any) -> str:
    if is_record(first) and is_record(second):
        return "" if _differ(first, second) else "neither a Literal field nor a required one of its own tells them"
    if _is_enum(first) and _is_enum(second):
        shared = {each.value for each in first} & {each.value for each in second if _is_hashable(each.value)}
        return "they share a value" if shared else ""
    for one, other in ((first, second), (second, first)):
        if _is_enum(one) and isinstance(other, type):
            return _confusion_of_enum(one, other)
    if _is_text(first) and _is_text(second):
        return "" if _path(first) in _DISTINCT and _path(second) in _DISTINCT else "both are text in JSON"
    if _is_like(first, _NUMBERS) != _is_like(second, _NUMBERS) and _is_number(first) and _is_number(second):
        return "both are numbers in JSON"
    return ""


def _confusion_of_enum(enum: type[Enum], other: type) -> str:
    values = [each.value for each in enum]
    if other is str and issubclass(enum, str):  # its members are equal to their texts, so that it is merely open
        return ""
    if (issubclass(other, (str, bytes)) or _is_like(other, _PATHS)) and any(isinstance(value, str) for value in values):
        return "both are text in JSON"
    if other is int and not issubclass(enum, int) and any(type(value) is int for value in values):
        return "both are numbers in JSON"
    return ""


def _differ(first: Any, second: Any) -> bool:
    """
    Whether every value of two records is told by a field: its value, that it is there, or what it is in JSON.
    """
    ones = {field.name: field for field in _fields(first)}
    others = {field.name: field for field in _fields(second)}
    if ones.keys() != others.keys() or (is_typeddict(record_type(first)) and is_typeddict(record_type(second))):
        return True
    return any(_are_apart(bare(field.type), bare(others[name].type)) for name, field in ones.items())


def _are_apart(first: Any, second: Any) -> bool:
    values, others = literal_values(first), literal_values(second)
    if values and others:
        return not set(values) & set(others)
    kinds, other_kinds = _kinds(first), _kinds(second)
    return bool(kinds and other_kinds) and not kinds & other_kinds


def _kinds(type_: Any) -> set[str]:
    """
    What values of a type are in JSON; empty when they may be anything.
    """
    if literal_values(type_):
        of_members = [_kinds(type(value)) for value in literal_values(type_)]
    elif is_union(type_):
        of_members = [_kinds(bare(member)) for member in get_args(type_)]
    elif _is_enum(type_):
        of_members = [_kinds(type(each.value)) for each in type_]
    elif is_record(type_) or is_named_tuple(type_):
        return {"object"}
    else:
        kinds = {kind for types, kind in _KINDS if _is_a(get_origin(type_) or type_, types)} - _extra(type_)
        return kinds or {kind for kind, names in (("text", _TEXTS), ("number", _NUMBERS)) if _is_like(type_, names)}
    return set().union(*of_members) if all(of_members) else set()


def _extra(type_: Any) -> set[str]:
    """
    What a class also is in Python, but not in JSON: a bool an int, a text a sequence.
    """
    if type_ is bool:
        return {"number"}
    return {"array"} if _is_a(type_, (str, bytes)) else set()


def _fields(type_: Any) -> Sequence[Any]:
    try:
        return record_fields(type_)
    except Exception:  # annotations that cannot be read: calls say so
        return ()


def _is_enum(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, Enum)


def _is_a(type_: Any, of: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, of)


def _is_text(type_: Any) -> bool:
    return _is_a(type_, (str, bytes)) or _is_like(type_, _TEXTS)


def _is_number(type_: Any) -> bool:
    return _is_a(type_, (int, float)) or _is_like(type_, _NUMBERS)


def _is_like(type_: Any, names: Set[str]) -> bool:
    """
    Whether a type is a class of the standard library that goes by one of these names, or made from one.
    """
    return isinstance(type_, type) and any(_path(base) in names for base in type_.__mro__)


def _path(cls: Any) -> str:
    return f"{cls.__module__.partition('.')[0]}.{cls.__qualname__}"


def _is_hashable(value: object) -> bool:
    return getattr(value, "__hash__", None) is not None


def _name(type_: Any) -> str:
    return str(type_) if get_args(type_) else str(getattr(type_, "__qualname__", type_))
