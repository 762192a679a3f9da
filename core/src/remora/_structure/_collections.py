"""
Collections: lists, tuples, sets and mappings, whose items each have a place in the path of an error.

What lives here: hooks for values with items. What must not: records and unions.
"""

from __future__ import annotations

import json
import math
from collections import Counter, OrderedDict, abc, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, get_args, get_origin

from cattrs import IterableValidationError, IterableValidationNote

from remora._structure._mismatch import Mismatch

if TYPE_CHECKING:
    from cattrs import Converter

    from remora._structure._scalars import Hook

_MAKERS: dict[object, Callable[[list[Any]], Any]] = {
    list: lambda items: items,
    abc.MutableSequence: lambda items: items,
    abc.Sequence: tuple,
    abc.Collection: tuple,
    abc.Iterable: tuple,
    tuple: tuple,
    deque: deque,
    set: set,
    abc.MutableSet: set,
    abc.Set: frozenset,
    frozenset: frozenset,
}
_MAPPINGS: dict[object, Callable[[dict[Any, Any]], Any]] = {
    dict: lambda entries: entries,
    abc.Mapping: lambda entries: entries,
    abc.MutableMapping: lambda entries: entries,
    OrderedDict: OrderedDict,
    Counter: Counter,
}


def add_collections(converter: Converter, most_errors: int | None = None) -> None:
    """
    Teach a converter the collections.

    Args:
        converter: The converter.
        most_errors: Of how many items of one the errors are collected; None for all.
    """
    most = math.inf if most_errors is None else most_errors
    converter.register_structure_hook_factory(
        lambda type_: _class(type_) in _MAKERS, partial(_list_hook, converter, most)
    )
    converter.register_structure_hook_factory(_is_fixed_tuple, partial(_tuple_hook, converter))
    converter.register_structure_hook_factory(_is_mapping, partial(_mapping_hook, converter, most))


def late_hook(converter: Converter, type_: Any) -> Hook:
    """
    The hook of a type; one that is looked up when it is used, where the type contains itself.
    """
    try:
        return converter.get_structure_hook(type_)
    except RecursionError:
        return converter.structure


def _class(type_: object) -> object:
    return get_origin(type_) or type_


def _is_fixed_tuple(type_: object) -> bool:
    return get_origin(type_) is tuple and get_args(type_)[1:] != (Ellipsis,)


def _is_mapping(type_: object) -> bool:
    return _class(type_) in _MAPPINGS or _class(type_) is defaultdict


def _list_hook(converter: Converter, most: float, type_: Any) -> Hook:
    make = _MAKERS[_class(type_)]
    item, *_ = get_args(type_) or (object,)
    hook = late_hook(converter, item)
    if converter.detailed_validation:
        return lambda value, _: make(_structure_items(type_, ((each, item, hook) for each in _items(value)), most))
    return lambda value, _: make([hook(each, item) for each in _items(value)])


def _items(value: object) -> list[Any] | tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise Mismatch("list", value)
    return value


def _tuple_hook(converter: Converter, type_: Any) -> Hook:
    hooks = [(item, late_hook(converter, item)) for item in get_args(type_)]

    def structure_tuple(value: Any, _: object) -> tuple[Any, ...]:
        if len(_items(value)) != len(hooks):
            raise Mismatch(f"list of {len(hooks)} items, got {len(value)}")
        triples = ((each, item, hook) for each, (item, hook) in zip(value, hooks, strict=True))
        if converter.detailed_validation:
            return tuple(_structure_items(type_, triples))
        return tuple([hook(each, item) for each, item, hook in triples])

    return structure_tuple


def _structure_items(type_: Any, triples: Iterable[tuple[Any, Any, Hook]], most: float = math.inf) -> list[Any]:
    items, errors = list[Any](), list[Exception]()
    for index, (value, item, hook) in enumerate(triples):
        try:
            items.append(hook(value, item))
        except Exception as exc:  # from the constructor of somebody's record, too
            exc.add_note(IterableValidationNote(f"in {type_} at {index}", index, item))
            errors.append(exc)
            if len(errors) >= most:
                break
    _refuse(errors, type_)
    return items


def _mapping_hook(converter: Converter, most: float, type_: Any) -> Hook:
    make = _mapping_maker(type_)
    key, value = _mapping_types(type_)
    key_hook, value_hook = _key_hook(converter, key), late_hook(converter, value)

    def structure_mapping(entries: Any, _: object) -> Any:
        if not isinstance(entries, Mapping):
            raise Mismatch("object", entries)
        if converter.detailed_validation:
            return make(_structure_entries(type_, entries, (key, key_hook), (value, value_hook), most))
        return make({key_hook(k, key): value_hook(v, value) for k, v in entries.items()})

    return structure_mapping


def _mapping_maker(type_: Any) -> Callable[[dict[Any, Any]], Any]:
    if _class(type_) is defaultdict:
        return partial(defaultdict, get_args(type_)[1] if get_args(type_) else None)
    return _MAPPINGS[_class(type_)]


def _mapping_types(type_: Any) -> tuple[Any, Any]:
    arguments = get_args(type_) or (object, object)
    return (arguments[0], int) if _class(type_) is Counter else arguments


def _key_hook(converter: Converter, type_: Any) -> Hook:
    """
    The hook of a type, for keys: JSON and others write numbers, too, as text there.
    """
    hook = late_hook(converter, type_)
    if type_ in (str, object, Any):
        return hook

    def structure_key(value: Any, type_: Any) -> Any:
        try:
            return hook(value, type_)
        except Mismatch:
            number = _number(value)
            if number is None:
                raise
        return hook(number, type_)

    return structure_key


def _number(text: object) -> object:
    try:
        number = json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return number if isinstance(number, int | float) else None


def _structure_entries(
    type_: Any, entries: Mapping[Any, Any], key: tuple[Any, Hook], value: tuple[Any, Hook], most: float
) -> dict[Any, Any]:
    result, errors = dict[Any, Any](), list[Exception]()
    for k, v in entries.items():
        try:
            result[key[1](k, key[0])] = value[1](v, value[0])
        except Exception as exc:  # from the constructor of somebody's record, too
            exc.add_note(IterableValidationNote(f"in {type_} at {k!r}", k, value[0]))
            errors.append(exc)
            if len(errors) >= most:
                break
    _refuse(errors, type_)
    return result


def _refuse(errors: list[Exception], type_: Any) -> None:
    if errors:
        raise IterableValidationError(f"in {type_}", errors, type_)  # pyright: ignore[reportCallIssue]
