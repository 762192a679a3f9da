"""
Frozen dataclasses with slots, created in a quarter of the usual time.

For such a class `dataclasses.dataclass` generates seven methods and compiles each separately, which takes 0.3 to
0.5 ms (Python 3.11). A program that serves a plugin defines thirty such classes before it can answer, and hosts wait
for its start; a host itself defines a hundred. Here only the constructor is compiled; the other methods are functions
shared by all classes, which look at the fields. The classes are dataclasses in every other respect.

What lives here: the decorator. What must not use it: a record created for each call; its constructor is slower.
"""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from reprlib import recursive_repr
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from dataclasses import dataclass as dataclass
    from typing import Any

T = TypeVar("T")


def _set(self: object, name: str, value: object) -> None:
    if hasattr(self, name):
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
    object.__setattr__(self, name, value)  # called by the constructor or a copy: a slot is set once


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


@contextmanager
def _thawed(classes: Iterable[Any]) -> Iterator[None]:
    """
    The dataclasses among frozen classes pass for ones that are not, since no class derived from a frozen one may be
    made without the methods that would be compiled for it.
    """
    found = (getattr(each, "__dataclass_params__", None) for each in classes)
    frozen = [each for each in found if each is not None and each.frozen]
    for each in frozen:
        each.frozen = False
    try:
        yield
    finally:
        for each in frozen:
            each.frozen = True


_METHODS = {"__setattr__": _set, "__delattr__": _delete, "__repr__": _show}
_COMPARISONS = {"__eq__": _equal, "__hash__": _hash}

if not TYPE_CHECKING:  # type checkers see `dataclasses.dataclass` instead

    def dataclass(*, frozen: bool, slots: bool, kw_only: bool = False, eq: bool = True) -> Callable[[type[T]], type[T]]:
        """
        The same as `dataclasses.dataclass` with these arguments, but the class is created in a quarter of the time.

        Use it for the options of an extension: hosts wait while the programs that they start create such classes.
        Methods that the class defines itself are kept. The constructor is slower.
        """
        if not (frozen and slots):
            raise TypeError("for frozen=True and slots=True only; for others there is dataclasses.dataclass")
        methods = _METHODS | _COMPARISONS if eq else _METHODS

        def make(cls: type[T]) -> type[T]:
            with _thawed(cls.__mro__[1:]):
                made = dataclasses.dataclass(slots=True, kw_only=kw_only, repr=False, eq=False)(cls)
            for name, method in methods.items():
                if name not in vars(cls):
                    setattr(made, name, method)
            made.__dataclass_params__.frozen = True  # so that a frozen class can inherit from it
            return made

        return make
