"""
Single values: what counts as one of a type, and how it is written where the format has no such value.

What lives here: hooks for values without parts. What must not: collections and records.
"""

from __future__ import annotations

import binascii
import math
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from enum import Enum
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, NoReturn, get_args
from uuid import UUID

from remora._structure._fields import literal_values
from remora._structure._mismatch import Mismatch, alternatives, show
from remora.secret import Secret

if TYPE_CHECKING:
    from cattrs import Converter

Hook = Callable[[Any, Any], Any]

_MOST_CHOICES = 12


def add_scalars(converter: Converter) -> None:
    """
    Teach a converter the scalars.
    """
    for type_, hook in _PRIMITIVES.items():
        converter.register_structure_hook(type_, hook)
    for type_, (expected, read, write) in _TEXTS.items():
        converter.register_structure_hook(type_, _text_hook(type_, expected, read))
        converter.register_unstructure_hook(type_, write)
    converter.register_structure_hook(Secret, _structure_secret)
    converter.register_unstructure_hook(Secret, _refuse_secret)
    converter.register_structure_hook(timedelta, _structure_timedelta)
    converter.register_unstructure_hook(timedelta, timedelta.total_seconds)
    converter.register_structure_hook_func(lambda type_: type_ in (object, Any), lambda value, _: value)
    converter.register_unstructure_hook_func(lambda type_: type_ is object, partial(_unstructure_any, converter))
    converter.register_structure_hook_func(lambda type_: type_ in (None, type(None)), _structure_none)
    converter.register_structure_hook(Enum, _structure_enum)
    converter.register_structure_hook_factory(lambda type_: bool(literal_values(type_)), _literal_hook)


def _unstructure_any(converter: Converter, value: object) -> object:
    return value if value.__class__ is object else converter.unstructure(value)


def _structure_str(value: object, type_: Any) -> object:
    # A hook for a class gets its subclasses too: enumerations and such.
    if not isinstance(value, str):
        raise Mismatch(_expected(type_), value)
    return value if type_ is str else _structure_subclass(value, type_)


def _structure_int(value: object, type_: Any) -> object:
    if not isinstance(value, int) or isinstance(value, bool):
        raise Mismatch(_expected(type_), value)
    return value if type_ is int else _structure_subclass(value, type_)


def _structure_bool(value: object, _: object) -> object:
    if value is not True and value is not False:
        raise Mismatch("bool", value)
    return value


def _structure_float(value: object, type_: Any) -> object:
    if value.__class__ is float and type_ is float:
        return value
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Mismatch(_expected(type_), value)
    try:
        return _structure_subclass(float(value), type_)
    except OverflowError:
        raise Mismatch("float", value) from None


def _structure_none(value: object, _: object) -> None:
    if value is not None:
        raise Mismatch("null", value)


def _structure_timedelta(value: object, _: object) -> timedelta:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        raise Mismatch("number of seconds", value)
    try:
        return timedelta(seconds=value)
    except OverflowError:
        raise Mismatch("number of seconds", value) from None


def _structure_secret(value: object, _: object) -> Secret:
    if not isinstance(value, str | Secret):
        raise ValueError("expected text")  # a Mismatch would quote what it got
    return Secret(value)


def _refuse_secret(_: Secret) -> NoReturn:
    raise TypeError("a secret is not written into a payload; reveal() it where it is needed")


_PRIMITIVES: dict[type, Hook] = {
    str: _structure_str,
    int: _structure_int,
    bool: _structure_bool,
    float: _structure_float,
}


def _structure_subclass(value: object, type_: Any) -> object:
    if _is_enum(type_):
        return _structure_enum(value, type_)
    return value if type(value) is type_ else type_(value)


def _is_enum(type_: object) -> bool:
    return isinstance(type_, type) and issubclass(type_, Enum)


def _structure_enum(value: object, type_: type[Enum]) -> Enum:
    try:
        member = type_(tuple(value) if isinstance(value, list) else value)
    except (ValueError, TypeError, KeyError):
        raise Mismatch(_expected(type_), value) from None
    # True == 1 == 1.0, but they are different values in every format.
    if isinstance(value, bool | float) and type(member.value) is not type(value):
        raise Mismatch(_expected(type_), value)
    return member


def _literal_hook(type_: object) -> Hook:
    values = {_literal_key(value): value for value in get_args(type_)}
    expected = choices(get_args(type_))

    def structure_literal(value: Any, _: object) -> object:
        try:
            return values[value.__class__, value]
        except (KeyError, TypeError):
            raise Mismatch(expected, value, meant=_meant(value, type_)) from None

    return structure_literal


def _meant(value: object, type_: object) -> str:
    words = [each for each in get_args(type_) if isinstance(each, str)]
    return next(iter(get_close_matches(value, words, n=1)), "") if isinstance(value, str) else ""


def _literal_key(value: object) -> tuple[type, object]:
    plain = value.value if isinstance(value, Enum) else value
    return plain.__class__, plain


def choices(values: tuple[object, ...]) -> str:
    """
    Values as a choice for a message.
    """
    words = [show(value.value if isinstance(value, Enum) else value) for value in values]
    return alternatives(words) if len(words) <= _MOST_CHOICES else f"one of {', '.join(words[:_MOST_CHOICES])}, ..."


def _expected(type_: Any) -> str:
    return choices(tuple(type_)) if _is_enum(type_) and tuple(type_) else type_.__name__


def _text_hook(type_: type, expected: str, read: Callable[[str], object]) -> Hook:
    def structure_text(value: object, _: object) -> object:
        if isinstance(value, str):
            try:
                return read(value)
            except (ValueError, InvalidOperation):
                raise Mismatch(expected, value) from None
        # Some formats know such values themselves, TOML the datetime for one.
        if value.__class__ is type_:
            return value
        raise Mismatch(expected, value)

    return structure_text


def _read_bytes(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except binascii.Error as exc:
        raise ValueError(str(exc)) from None


def _write_bytes(value: bytes) -> str:
    return b64encode(value).decode()


_TEXTS: dict[type, tuple[str, Callable[[str], object], Callable[[Any], str]]] = {
    datetime: ("datetime in ISO 8601", datetime.fromisoformat, datetime.isoformat),
    date: ("date in ISO 8601", date.fromisoformat, date.isoformat),
    time: ("time in ISO 8601", time.fromisoformat, time.isoformat),
    UUID: ("UUID", UUID, str),
    Decimal: ("decimal number as text", Decimal, str),
    bytes: ("bytes as base64 text", _read_bytes, _write_bytes),
    PurePath: ("path as text", PurePath, str),
    Path: ("path as text", Path, str),
}
