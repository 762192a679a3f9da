"""
The short way for simple records: text, numbers, booleans, null, lists and objects of them, and records of such.

A function is made for each type. It takes only values of exactly the classes that such a type has in JSON, where no
hook of the converter would have anything to decide. At anything else, be it right or wrong, it gives up; then the
converter does the work, and says what is wrong. So there is one set of rules, and it is not here.

What lives here: which types are simple, and their functions. What must not: rules about values, messages.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from types import NoneType
from typing import Any, Protocol, get_args, get_origin, is_typeddict

from remora._structure._fields import is_named_tuple, is_union, record_fields, record_type
from remora._structure._written import Function, Part, write_reader, write_writer

_MAKERS: dict[object, Callable[[list[Any]], Any]] = {list: list, tuple: tuple, Sequence: tuple}
_MAPPINGS = (dict, Mapping)
_SAFE_BASES = (object, Protocol)


class Refused(Exception):
    """
    A type or a value is not for the short way.
    """


def _reader(type_: Any) -> Function | None:
    return _made(_Reading(), type_)


def _writer(cls: Any) -> Function | None:
    is_plain = cls in _PLAIN or cls in (dict, list, tuple)
    return _plain if is_plain else _made(_Writing(), cls)


def _made(kind: _Kind, type_: Any) -> Function | None:
    try:
        return kind.function(type_)
    except Exception:  # annotations may be anything; the converter will say what is wrong with them
        return None


class _Kind:
    """
    What reading and writing have in common: which types are simple.
    """

    def __init__(self) -> None:
        self._open: set[object] = set()

    def function(self, type_: Any) -> Function:
        """
        The function of a type.

        Raises:
            Refused: It is not simple.
        """
        if (scalar := self.scalar(type_)) is not None:
            return scalar
        if is_union(type_):
            return self._optional(get_args(type_))
        cls, arguments = get_origin(type_) or type_, get_args(type_) or (object, object)
        if cls in _MAKERS and (type_ is tuple or cls is not tuple or arguments[1:] == (Ellipsis,)):
            return self.items(_MAKERS[cls], self.function(arguments[0]))
        if cls in _MAPPINGS and arguments[0] in (str, object):
            return partial(_entries, self.function(arguments[1]))
        return self._record(type_)

    def scalar(self, type_: object) -> Function | None:
        """
        The function of a type without parts.
        """
        raise NotImplementedError

    def items(self, make: Callable[[list[Any]], Any], function: Function) -> Function:
        """
        The function of a list.
        """
        raise NotImplementedError

    def record(self, cls: type, parts: Sequence[Part]) -> Function:
        """
        The function of a record.
        """
        raise NotImplementedError

    def _optional(self, members: tuple[Any, ...]) -> Function:
        others = [each for each in members if each is not NoneType]
        if len(others) != 1:
            raise Refused
        return partial(_unless_none, self.function(others[0]))

    def _record(self, type_: Any) -> Function:
        if type_ in self._open or not _is_simple(type_):  # one that contains itself may be nested too deeply
            raise Refused
        self._open.add(type_)
        parameters = _parameters(type_)
        parts = [
            Part(each.name, *parameters[each.name], each.required, self.function(each.type))
            for each in record_fields(type_)
        ]
        self._open.remove(type_)
        return self.record(type_, parts)


class _Reading(_Kind):
    def scalar(self, type_: object) -> Function | None:
        return _anything if type_ in (object, Any) else _READ.get(type_)

    def items(self, make: Callable[[list[Any]], Any], function: Function) -> Function:
        cls = _CLASSES.get(function)
        return partial(_read_items, make, function) if cls is None else partial(_read_alike, make, cls, function)

    def record(self, cls: type, parts: Sequence[Part]) -> Function:
        return write_reader(cls, parts, refused=Refused, checks=_CLASSES)


class _Writing(_Kind):
    def scalar(self, type_: object) -> Function | None:
        return _plain if type_ in (object, Any) else _WRITE.get(type_)

    def items(self, make: Callable[[list[Any]], Any], function: Function) -> Function:
        cls = _CLASSES.get(function)
        return partial(_write_items, function) if cls is None else partial(_write_alike, cls, function)

    def record(self, cls: type, parts: Sequence[Part]) -> Function:
        return write_writer(cls, parts, refused=Refused, checks=_CLASSES)


def _is_simple(type_: Any) -> bool:
    """
    Whether it is a dataclass or an attrs class, without arguments, that is nothing else beside it.
    """
    if not isinstance(type_, type) or get_origin(type_) is not None or record_type(type_) is None:
        return False
    bases_are_records = all(base in _SAFE_BASES or not _is_of_python(base) for base in type_.__mro__)
    return bases_are_records and not (is_typeddict(type_) or is_named_tuple(type_))


def _is_of_python(cls: type) -> bool:
    return cls.__module__.partition(".")[0] in sys.stdlib_module_names


def _parameters(cls: Any) -> dict[str, tuple[str, bool]]:
    """
    What the constructor calls each field, and whether it takes it by that name only.
    """
    if dataclasses.is_dataclass(cls):
        return {each.name: (each.name, each.kw_only is True) for each in dataclasses.fields(cls)}
    return {each.name: (each.alias, each.kw_only) for each in cls.__attrs_attrs__}


def _of(cls: type, value: Any) -> Any:
    if value.__class__ is not cls:
        raise Refused
    return value


_text, _whole, _truth, _nothing = partial(_of, str), partial(_of, int), partial(_of, bool), partial(_of, NoneType)


def _anything(value: Any) -> Any:
    return value


def _read_number(value: Any) -> float:
    return value if value.__class__ is float else float(_of(int, value))


def _write_number(value: Any) -> float:
    return value if value.__class__ is float else _of(int, value)


def _unless_none(function: Function, value: Any) -> Any:
    return None if value is None else function(value)


def _read_items(make: Callable[[list[Any]], Any], function: Function, value: Any) -> Any:
    return make([function(each) for each in _of(list, value)])


def _read_alike(make: Callable[[list[Any]], Any], cls: type, function: Function, value: Any) -> Any:
    return make([each if each.__class__ is cls else function(each) for each in _of(list, value)])


def _write_alike(cls: type, function: Function, value: Any) -> Any:
    _check_list(value)
    return [each if each.__class__ is cls else function(each) for each in value]


def _check_list(value: Any) -> None:
    if value.__class__ is not list and value.__class__ is not tuple:
        raise Refused


def _write_items(function: Function, value: Any) -> Any:
    _check_list(value)
    return [function(each) for each in value]


def _entries(function: Function, value: Any) -> dict[str, Any]:
    return {_text(key): function(each) for key, each in _of(dict, value).items()}


def _plain(value: Any) -> Any:
    """
    A value in which every part is plain already.
    """
    if value.__class__ in _PLAIN:
        return value
    return _entries(_plain, value) if value.__class__ is dict else _write_items(_plain, value)


quick_reader: Callable[[Any], Function | None] = lru_cache(maxsize=1024)(_reader)
"""
The function that makes a value of a type from what a JSON parser gives; None when the type is not simple.

It raises Refused, or anything else, for what it does not take.
"""

quick_writer: Callable[[Any], Function | None] = lru_cache(maxsize=1024)(_writer)
"""
The function that makes plain values from one of a class, likewise.
"""

_PLAIN = frozenset({str, int, float, bool, NoneType})
_SCALARS: dict[object, Function] = {str: _text, int: _whole, bool: _truth, None: _nothing, NoneType: _nothing}
_READ: dict[object, Function] = {**_SCALARS, float: _read_number}
_WRITE: dict[object, Function] = {**_SCALARS, float: _write_number}
_CLASSES: dict[Function, type] = {_text: str, _whole: int, _truth: bool, _read_number: float, _write_number: float}
"""The class of values that a function hands on as they are, so that it need not be called for them."""
