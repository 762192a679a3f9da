"""
Frozen dataclasses with slots, made in a fourth of the time.

For such a class `dataclasses.dataclass` writes the source of seven methods and compiles each by itself, which takes a
third to half of a millisecond (Python 3.11). A program that serves a plugin has thirty of them before it can answer,
and its start is waited for. Here only the constructor is compiled; the other methods are the same functions for all
classes, which look at the fields. Everything else is as with `dataclasses`, whose classes these are.

What lives here: the decorator. What must not use it: a record that calls make by its constructor, which takes longer.
"""

from __future__ import annotations

import dataclasses
from reprlib import recursive_repr
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from dataclasses import dataclass as dataclass
    from typing import Any

T = TypeVar("T")


def _set(self: object, name: str, value: object) -> None:
    if hasattr(self, name):
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
    object.__setattr__(self, name, value)  # of the constructor, or of a copy: a slot is filled once


def _delete(self: object, name: str) -> None:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")


def _compared(self: Any) -> tuple[object, ...]:
    return tuple(getattr(self, each.name) for each in dataclasses.fields(self) if each.compare)


def _equal(self: object, other: object) -> bool:
    return _compared(self) == _compared(other) if type(self) is type(other) else NotImplemented


def _hash(self: object) -> int:
    return hash(_compared(self))


@recursive_repr()
def _show(self: Any) -> str:
    shown = (f"{each.name}={getattr(self, each.name)!r}" for each in dataclasses.fields(self) if each.repr)
    return f"{type(self).__qualname__}({', '.join(shown)})"


_METHODS = {"__setattr__": _set, "__delattr__": _delete, "__eq__": _equal, "__hash__": _hash, "__repr__": _show}

if not TYPE_CHECKING:  # who checks types reads the same words of the true one

    def dataclass(*, frozen: bool, slots: bool, kw_only: bool = False) -> Callable[[type[T]], type[T]]:
        """
        What `dataclasses.dataclass` makes of a class with the same words; a method of the class's own is left alone.
        """
        assert frozen
        assert slots

        def make(cls: type[T]) -> type[T]:
            made = dataclasses.dataclass(slots=True, kw_only=kw_only, repr=False, eq=False)(cls)
            for name, method in _METHODS.items():
                if name not in vars(cls):
                    setattr(made, name, method)
            made.__dataclass_params__.frozen = True  # for a frozen class that is made of this one
            return made

        return make
