"""
Records: dataclasses, attrs classes, TypedDicts and NamedTuples, all of them objects with named fields.

What lives here: hooks that check for an object and leave its fields to cattrs. What must not: unions of records.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, is_typeddict

from cattrs.cols import namedtuple_dict_structure_factory, namedtuple_dict_unstructure_factory

from remora._structure._errors import Mismatch
from remora._structure._fields import is_named_tuple, is_record, record_fields, record_type

if TYPE_CHECKING:
    from cattrs import Converter

    from remora._structure._scalars import Hook


class _Making(threading.local):
    """
    The TypedDicts whose hooks are being made: one that contains itself would never be done.
    """

    def __init__(self) -> None:
        self.types: set[object] = set()


_making = _Making()


def add_records(converter: Converter) -> None:
    """
    Teach a converter the records.
    """
    converter.register_structure_hook_factory(is_record, partial(_record_hook, converter))
    converter.register_unstructure_hook_factory(
        is_named_tuple, lambda type_: namedtuple_dict_unstructure_factory(type_, converter)
    )


def _record_hook(converter: Converter, type_: Any) -> Hook:
    structure = _fields_hook(converter, type_)

    def structure_record(value: object, _: object) -> object:
        if value.__class__ is not dict and not isinstance(value, Mapping):
            raise Mismatch("object", value)
        return structure(value, type_)

    return structure_record


def _fields_hook(converter: Converter, type_: Any) -> Callable[[Any, Any], Any]:
    cls = record_type(type_)
    if is_typeddict(cls):
        return _typed_dict_hook(converter, type_)
    if is_named_tuple(cls):
        return namedtuple_dict_structure_factory(type_, converter, "from_converter", converter.forbid_extra_keys)
    return converter.gen_structure_attrs_fromdict(type_)


def _typed_dict_hook(converter: Converter, type_: Any) -> Callable[[Any, Any], Any]:
    if type_ in _making.types:
        raise RecursionError
    _making.types.add(type_)
    try:
        structure = converter.gen_structure_typeddict(type_)
    finally:
        _making.types.remove(type_)
    if converter.forbid_extra_keys:
        return structure
    names = [field.name for field in record_fields(type_)]
    return lambda value, _: structure({name: value[name] for name in names if name in value}, type_)
