"""
Records: dataclasses, attrs classes, TypedDicts and NamedTuples, all of them objects with named fields.

What lives here: hooks that check for an object and leave its fields to cattrs. What must not: unions of records.
"""

from __future__ import annotations

import dataclasses
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, ForwardRef, TypeVar, get_args, get_type_hints, is_typeddict

from cattrs import ClassValidationError, ForbiddenExtraKeysError
from cattrs.cols import namedtuple_dict_structure_factory, namedtuple_dict_unstructure_factory
from cattrs.errors import AttributeValidationNote
from cattrs.gen import make_dict_structure_fn, override

from remora._structure._collections import late_hook
from remora._structure._fields import is_named_tuple, is_record, record_fields, record_type
from remora._structure._mismatch import Mismatch

if TYPE_CHECKING:
    from cattrs import Converter

    from remora._structure._fields import Field
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
    converter.register_unstructure_hook_func(_is_open, converter.unstructure)
    converter.register_unstructure_hook_factory(_has_fields_of_its_own, partial(_writing_hook, converter))
    converter.register_unstructure_hook_factory(
        is_named_tuple, lambda type_: namedtuple_dict_unstructure_factory(type_, converter)
    )
    converter.register_unstructure_hook_func(
        lambda type_: is_typeddict(record_type(type_)), partial(_unstructure_typed_dict, converter)
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
    _resolve(cls)
    return _generic_hook(converter, type_) if get_args(type_) else converter.gen_structure_attrs_fromdict(type_)


def _generic_hook(converter: Converter, type_: Any) -> Callable[[Any, Any], Any]:
    # cattrs does not look for parameters inside Annotated.
    def hook_of(field: Field, hook: Hook) -> Hook:
        return lambda value, _: hook(value, field.type)

    parts: dict[str, Any] = {
        field.name: override(struct_hook=hook_of(field, hook)) for field, hook in _parts(converter, type_)
    }
    return make_dict_structure_fn(type_, converter, **parts)


def _writing_hook(converter: Converter, type_: Any) -> Callable[[Any], dict[str, Any]]:
    with suppress(NameError):  # what is read must be known, but the value is there to be written
        _resolve(record_type(type_))
    return converter.gen_unstructure_attrs_fromdict(type_)


def _is_open(type_: object) -> bool:
    """
    Whether it leaves open what a value is, as a parameter of a generic record does: the value itself tells.
    """
    return isinstance(type_, TypeVar | ForwardRef | str)


def _has_fields_of_its_own(type_: object) -> bool:
    """
    Whether it is a dataclass or an attrs class.
    """
    cls = record_type(type_)
    return dataclasses.is_dataclass(cls) or hasattr(cls, "__attrs_attrs__")


def _resolve(cls: Any) -> None:
    """
    Read the annotations of a dataclass or an attrs class that are postponed, or quoted inside others as in
    `list["Node"]`: cattrs would take the latter for types of no kind, and lose what `Annotated` adds to the former.
    """
    if not dataclasses.is_dataclass(cls):
        sys.modules["attr"].resolve_types(cls)  # who has such a class has imported attrs
        return
    hints = get_type_hints(cls, include_extras=True)
    for field in dataclasses.fields(cls):
        field.type = hints[field.name]


def _typed_dict_hook(converter: Converter, type_: Any) -> Callable[[Any, Any], Any]:
    # Not left to cattrs, which takes a NotRequired key for required where annotations are postponed.
    parts = _parts(converter, type_)
    names = {field.name for field, _ in parts}

    def structure_typed_dict(value: Mapping[str, Any], _: object) -> dict[str, Any]:
        result, errors = {}, list[Exception]()
        for field, hook in parts:
            try:
                if field.required or field.name in value:
                    result[field.name] = hook(value[field.name], field.type)
            except Exception as exc:  # from the constructor of somebody's record, too
                exc.add_note(AttributeValidationNote(f"in {type_}", field.name, field.type))
                errors.append(exc)
        if converter.forbid_extra_keys and value.keys() - names:
            errors.append(ForbiddenExtraKeysError("", type_, set(value.keys() - names)))
        if errors:
            raise ClassValidationError(f"in {type_}", errors, type_)  # pyright: ignore[reportCallIssue]
        return result

    return structure_typed_dict


def _parts(converter: Converter, type_: Any) -> list[tuple[Field, Hook]]:
    if type_ in _making.types:
        raise RecursionError
    _making.types.add(type_)
    try:
        return [(field, late_hook(converter, field.type)) for field in record_fields(type_)]
    finally:
        _making.types.remove(type_)


def _unstructure_typed_dict(converter: Converter, value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: converter.unstructure(item) for name, item in value.items()}
