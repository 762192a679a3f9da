"""
The source of the functions that read and write one record each: no loop over its fields is left in them.

What lives here: source. What must not: which records there are functions for, and what they take.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import takewhile
from keyword import iskeyword
from typing import Any, NamedTuple

Function = Callable[[Any], Any]


class Part(NamedTuple):
    """
    One field of a record.

    Attributes:
        name: Its name in the record and in the object.
        parameter: What the constructor calls it.
        by_name: Whether the constructor takes it by that name only.
        required: Whether the record cannot be made without it.
        function: Makes the value from what is in the object, or the other way round.
    """

    name: str
    parameter: str
    by_name: bool
    required: bool
    function: Function


def write_reader(
    cls: type, parts: Sequence[Part], *, refused: type[Exception], checks: Mapping[Function, type]
) -> Function:
    """
    The function from an object to a record; keys that no field has mean nothing.

    Args:
        cls: The record's class.
        parts: Its fields, those that can be written.
        refused: What it raises for what is no such object.
        checks: The class of values that a function of a part hands on as they are.
    """
    first = list(takewhile(lambda part: part.required and not part.by_name, parts))
    arguments = [f"v{number}" for number in range(len(first))]
    arguments += [f"{part.parameter}=v{number}" for number, part in enumerate(parts) if number >= len(first)]
    lines = [
        "if value.__class__ is not dict: raise refused",
        "try:",
        *(f" v{number} = value[{part.name!r}]" for number, part in enumerate(parts)),
        " pass",
        "except KeyError:",
        " return partly(value)",
        *_steps(parts, checks),
        f"return cls({', '.join(arguments)})",
    ]

    def partly(value: dict[str, Any]) -> Any:
        if any(part.required and part.name not in value for part in parts):
            raise refused
        given = [part for part in parts if part.name in value]
        return cls(**{part.parameter: part.function(value[part.name]) for part in given})

    return _compiled(parts, checks, lines, cls=cls, refused=refused, partly=partly)


def write_writer(
    cls: type, parts: Sequence[Part], *, refused: type[Exception], checks: Mapping[Function, type]
) -> Function:
    """
    The function from a record to an object, likewise.
    """
    entries = [f"{part.name!r}: v{number}" for number, part in enumerate(parts)]
    lines = [
        "if value.__class__ is not cls: raise refused",
        *(f"v{number} = value.{part.name}" for number, part in enumerate(parts)),
        *_steps(parts, checks),
        f"return {{{', '.join(entries)}}}",
    ]
    return _compiled(parts, checks, lines, cls=cls, refused=refused)


def _steps(parts: Sequence[Part], checks: Mapping[Function, type]) -> list[str]:
    return [
        f"if v{number}.__class__ is not c{number}: v{number} = f{number}(v{number})"
        if part.function in checks
        else f"v{number} = f{number}(v{number})"
        for number, part in enumerate(parts)
    ]


def _compiled(parts: Sequence[Part], checks: Mapping[Function, type], lines: list[str], **names: object) -> Function:
    words = [word for part in parts for word in (part.name, part.parameter)]
    if any(not word.isidentifier() or iskeyword(word) for word in words):
        raise ValueError("a field has a name that only a function could have made")
    scope: dict[str, Any] = {**names, **{f"f{number}": part.function for number, part in enumerate(parts)}}
    scope |= {f"c{number}": checks[part.function] for number, part in enumerate(parts) if part.function in checks}
    bound = ", ".join(f"{name}={name}" for name in scope)  # names of the function itself are found quicker
    source = "\n ".join([f"def quick(value, {bound}):", *lines])
    exec(compile(source, f"<{names['cls']}>", "exec"), scope)
    function: Function = scope["quick"]
    return function
