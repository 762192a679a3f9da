"""
The part of a value that cannot be written: where it is, and why not.

What lives here: the search, and which parts a value has. What must not: how anything is written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from functools import partial
from typing import Any, TypeVar

from remora._structure._errors import join_path
from remora._structure._fields import record_fields

Write = Callable[[Any, Any], object]
"""Writes a part as what it is declared to be, or raises anything."""

_DEEPEST = 100


def find_culprit(value: object, error: Exception, write: Write) -> tuple[str, Exception]:
    """
    The path of the innermost part of a value that cannot be written, and the reason.

    Args:
        value: What cannot be written.
        error: What writing it has raised.
        write: Writes a part.
    """
    path = "$"
    for _ in range(_DEEPEST):
        found = None if isinstance(error, RecursionError) else next(_failures(value, write), None)
        if found is None:
            break
        key, value, error = found
        path = join_path(path, key)
    return path, error


def _failures(value: object, write: Write) -> Iterator[tuple[object, object, Exception]]:
    for key, declared, get in _parts(value):
        part: object = None
        try:
            part = get()
            write(part, type(part) if declared is None or isinstance(declared, TypeVar) else declared)
        except Exception as error:  # somebody's record may do anything
            yield key, part, error


def _parts(value: Any) -> Iterator[tuple[object, Any, Callable[[], object]]]:
    """
    The parts of a value: their keys, what they are declared to be, if anything, and how to get them.
    """
    if fields := _fields(type(value)):
        yield from ((field.name, field.type, partial(getattr, value, field.name)) for field in fields)
    elif isinstance(value, Mapping):
        yield from ((key, None, partial(value.__getitem__, key)) for key in value)
    elif isinstance(value, Sequence | Set) and not isinstance(value, str | bytes):
        yield from ((index, None, partial(_same, part)) for index, part in enumerate(value))


def _fields(cls: type) -> Sequence[Any]:
    try:
        return record_fields(cls)
    except Exception:  # annotations that cannot be read
        return ()


def _same(value: object) -> object:
    return value
