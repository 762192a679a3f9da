"""
What the type variables of a generic class stand for.

What lives here: classes and their arguments. What must not: methods, values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin

if TYPE_CHECKING:
    from collections.abc import Mapping

Arguments = dict[Any, Any]


def type_arguments_of(type_: Any) -> dict[type, Arguments]:
    """
    The type arguments of a class and of its bases, by the class that declares their variables.

    Args:
        type_: A class, or a generic one with its arguments, such as `Store[Text]`.
    """
    found: dict[type, Arguments] = {}
    _collect(type_, {}, found)
    return found


def substituted(type_: Any, arguments: Mapping[Any, Any]) -> Any:
    """
    A type with its variables replaced at any depth; a variable without an argument becomes `object`.
    """
    if isinstance(type_, TypeVar):
        return arguments.get(type_, object)
    parameters = getattr(type_, "__parameters__", ()) if get_origin(type_) else ()
    generic: Any = type_
    return generic if not parameters else generic[tuple(arguments.get(each, object) for each in parameters)]


def _collect(type_: Any, outer: Arguments, found: dict[type, Arguments]) -> None:
    cls = get_origin(type_) or type_
    if not isinstance(cls, type) or cls.__module__ == "typing":
        return
    parameters = getattr(cls, "__parameters__", ())
    given = [substituted(each, outer) for each in get_args(type_)] or [object] * len(parameters)
    found[cls] = found.get(cls) or dict(zip(parameters, given, strict=False))
    for base in vars(cls).get("__orig_bases__", cls.__bases__):
        _collect(base, found[cls], found)
