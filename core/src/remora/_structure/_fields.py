"""
The fields of record types: dataclasses, attrs classes, TypedDicts and NamedTuples, seen as one thing.

What lives here: reading types. What must not: values.
"""

from __future__ import annotations

import dataclasses
import sys
import types
import typing
from functools import lru_cache
from typing import (
    Annotated,
    Any,
    Final,
    Literal,
    NewType,
    NotRequired,
    Required,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from remora._frozen import dataclass

MISSING: Final = object()
"""Stands for a default that there is not, or that is made anew for every record."""

_QUALIFIERS: tuple[object, ...] = (Required, NotRequired, Final, getattr(typing, "ReadOnly", Required))
_CONSTANT_FACTORIES = (list, dict, set, frozenset, tuple)


@dataclass(frozen=True, slots=True)
class Field:
    """
    One field of a record type.

    Attributes:
        name: Its name, in the record and in the payload.
        type: Its type, with type variables filled in.
        required: Whether a record cannot be made without it.
        default: Its value when it is left out, or `MISSING`.
    """

    name: str
    type: object
    required: bool
    default: object = MISSING


def record_type(type_: object) -> type | None:
    """
    The class of a record type, without its type arguments; None when it is no record type.
    """
    cls = get_origin(type_) or type_
    if not isinstance(cls, type):
        return None
    found = dataclasses.is_dataclass(cls) or hasattr(cls, "__attrs_attrs__") or is_typeddict(cls) or is_named_tuple(cls)
    return cls if found else None


def is_record(type_: object) -> bool:
    """
    Whether values of the type are objects with named fields in a payload.
    """
    return record_type(type_) is not None


def is_named_tuple(type_: object) -> bool:
    """
    Whether it is a class made by `typing.NamedTuple` or `collections.namedtuple`.
    """
    return isinstance(type_, type) and issubclass(type_, tuple) and hasattr(type_, "_fields")


def is_union(type_: object) -> bool:
    """
    Whether it is a choice of types, written either way.
    """
    return get_origin(type_) in (Union, types.UnionType)


def bare(type_: Any) -> Any:
    """
    The type behind aliases, NewTypes, annotations and qualifiers.
    """
    while True:
        if isinstance(type_, NewType):
            type_ = type_.__supertype__
        elif get_origin(type_) in (Annotated, *_QUALIFIERS):
            type_ = get_args(type_)[0]
        elif type(type_).__name__ == "TypeAliasType":
            type_ = type_.__value__
        else:
            return type_


def literal_values(type_: object) -> tuple[object, ...]:
    """
    The values of a Literal type; none for any other type.
    """
    return get_args(type_) if get_origin(type_) is Literal else ()


@lru_cache(maxsize=1024)
def record_fields(type_: object) -> tuple[Field, ...]:
    """
    The fields of a record type in their order; none for any other type.

    Raises:
        NameError: An annotation names something that cannot be found.
    """
    cls = record_type(type_)
    if cls is None:
        return ()
    hints = get_type_hints(cls, include_extras=True)
    arguments: dict[object, object] = dict(zip(getattr(cls, "__parameters__", ()), get_args(type_), strict=False))
    return tuple(
        dataclasses.replace(field, type=_fill(_unqualified(hints.get(field.name, object)), arguments))
        for field in _bare_fields(cls)
    )


def _bare_fields(cls: type) -> list[Field]:
    if dataclasses.is_dataclass(cls):
        return [_dataclass_field(field) for field in dataclasses.fields(cls) if field.init]
    if hasattr(cls, "__attrs_attrs__"):
        return [_attrs_field(attribute) for attribute in cls.__attrs_attrs__ if attribute.init]
    if is_typeddict(cls):
        return [_typed_dict_field(cls, name, hint) for name, hint in get_type_hints(cls, include_extras=True).items()]
    defaults: dict[str, object] = getattr(cls, "_field_defaults", {})
    names: tuple[str, ...] = getattr(cls, "_fields", ())
    return [Field(name, object, name not in defaults, defaults.get(name, MISSING)) for name in names]


def _dataclass_field(field: dataclasses.Field[object]) -> Field:
    if field.default_factory is not dataclasses.MISSING:
        return Field(field.name, object, False, _made(field.default_factory))
    if field.default is not dataclasses.MISSING:
        return Field(field.name, object, False, field.default)
    return Field(field.name, object, True)


def _attrs_field(attribute: Any) -> Field:
    # Only who imported attrs can have such a class, so that it need not be imported here.
    name: str = attribute.name
    default: Any = attribute.default
    if default is sys.modules["attr"].NOTHING:
        return Field(name, object, True)
    if isinstance(default, sys.modules["attr"].Factory):
        return Field(name, object, False, MISSING if default.takes_self else _made(default.factory))
    return Field(name, object, False, default)


def _typed_dict_field(cls: type, name: str, hint: object) -> Field:
    # Postponed annotations hide NotRequired from the class itself, so the annotation has the last word.
    qualifiers = _qualifiers(hint)
    required = name in getattr(cls, "__required_keys__", ())
    return Field(name, object, Required in qualifiers or (required and NotRequired not in qualifiers))


def _qualifiers(hint: object) -> list[object]:
    found: list[object] = []
    while get_origin(hint) in (Annotated, *_QUALIFIERS):
        found.append(get_origin(hint))
        hint = get_args(hint)[0]
    return found


def _unqualified(hint: object) -> object:
    return _unqualified(get_args(hint)[0]) if get_origin(hint) in _QUALIFIERS else hint


def _made(factory: object) -> object:
    """
    What a default factory makes, where that is the same every time.
    """
    if isinstance(factory, type) and (factory in _CONSTANT_FACTORIES or is_record(factory)):
        return factory()
    return MISSING


def _fill(type_: Any, arguments: dict[object, object]) -> object:
    if isinstance(type_, TypeVar):
        return arguments.get(type_, type_)
    parameters = getattr(type_, "__parameters__", ())
    if not arguments or not parameters or not get_origin(type_):
        return type_
    return type_[tuple(arguments.get(each, each) for each in parameters)]
