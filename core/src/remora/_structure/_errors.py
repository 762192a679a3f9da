"""
What is wrong with a value, one line per problem, each with the path of its field.

What lives here: the text of a whole tree of errors, and how it is put. What must not: the checks.
"""

from __future__ import annotations

import re
from dataclasses import field
from difflib import get_close_matches
from typing import TYPE_CHECKING

from cattrs import ClassValidationError, ForbiddenExtraKeysError, IterableValidationError, StructureHandlerNotFoundError
from cattrs.errors import AttributeValidationNote, IterableValidationNote

from remora._frozen import dataclass
from remora._structure._fields import record_fields
from remora._structure._mismatch import Mismatch, alternatives, show

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from remora._structure._fields import Field

_PLAIN_KEY = re.compile(r"[\w-]+")
_MISSPELT = 0.8
"""How alike two words are, by `difflib`, when one is the other one misspelt."""


@dataclass(frozen=True, slots=True)
class Phrasing:
    """
    How problems are put to whoever wrote the value.

    Attributes:
        words: What kinds of values are called, by what Python and JSON call them.
        unnamed: Fields, each with its record's type, that nobody may write, and so are not proposed.
        advice: What to add about an unknown key that is neither misspelt nor in the wrong table, by its record's type.
    """

    words: Mapping[str, str] = field(default_factory=dict)
    unnamed: Collection[tuple[object, str]] = ()
    advice: Mapping[object, str] = field(default_factory=dict)


PLAIN = Phrasing()


def describe_errors(exc: BaseException, root: str = "$", phrasing: Phrasing = PLAIN) -> list[str]:
    """
    What is wrong, one line per problem, in the order of the fields.

    Args:
        exc: What a converter from `make_converter` raised.
        root: The path of the whole value; empty for paths that begin with the name of a field.
        phrasing: How they are put.
    """
    return list(_describe(exc, root, phrasing))


def _describe(exc: BaseException, path: str, phrasing: Phrasing) -> Iterator[str]:
    if isinstance(exc, ClassValidationError | IterableValidationError):
        for inner in exc.exceptions:
            yield from _describe(inner, _extend(path, inner), phrasing)
    elif isinstance(exc, ForbiddenExtraKeysError):
        for key in sorted(exc.extra_fields, key=str):
            yield _line(join_path(path, key), _unknown(str(key), exc.cl, phrasing))
    else:
        yield _line(path, exc.in_words(phrasing.words) if isinstance(exc, Mismatch) else _reason(exc))


def _line(path: str, reason: str) -> str:
    return f"{path}: {reason}" if path else reason


def _extend(path: str, exc: BaseException) -> str:
    for note in getattr(exc, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return join_path(path, note.name)
        if isinstance(note, IterableValidationNote):
            return join_path(path, note.index)
    return path


def join_path(path: str, key: object) -> str:
    """
    The path of what stands under a key, or at an index, of the value at a path.
    """
    if isinstance(key, int):
        return f"{path}[{key}]"
    if not _PLAIN_KEY.fullmatch(str(key)):
        return f"{path}[{show(key)}]"
    return f"{path}.{key}" if path else str(key)


def _reason(exc: BaseException) -> str:
    if isinstance(exc, KeyError) and _is_missing(exc):
        return "missing"
    if isinstance(exc, StructureHandlerNotFoundError):
        name = getattr(exc.type_, "__qualname__", exc.type_)
        is_message = hasattr(exc.type_, "SerializeToString")
        wanted = f"expected the Protocol Buffers message {name} (application/proto)"
        return wanted if is_message else f"the type {name} is not supported"
    text = exc.args[0] if exc.args and isinstance(exc.args[0], str) else str(exc)
    return text if isinstance(exc, ValueError) and text else f"{type(exc).__name__}: {text}"


def _is_missing(exc: KeyError) -> bool:
    notes = getattr(exc, "__notes__", ())
    return any(isinstance(note, AttributeValidationNote) and exc.args == (note.name,) for note in notes)


def _unknown(key: str, type_: object, phrasing: Phrasing) -> str:
    fields = [each for each in record_fields(type_) if (type_, each.name) not in phrasing.unnamed]
    known = [each.name for each in fields]
    certain = get_close_matches(key, known, n=1, cutoff=_MISSPELT) or _deeper(key, fields)
    advice = "" if certain or type_ not in phrasing.advice else f" ({phrasing.advice[type_]})"
    if meant := certain or get_close_matches(key, known, n=1):
        return f"unknown key; did you mean {alternatives(show(each) for each in meant)}?{advice}"
    return (f"unknown key; known are {', '.join(known)}" if known else "unknown key") + advice


def _deeper(key: str, fields: Iterable[Field]) -> list[str]:
    """
    The keys of that name, or that end with it as `request_timeout` does with `timeout`, one table below.
    """
    below = [(field.name, each.name) for field in fields for each in record_fields(field.type)]
    return [f"{table}.{name}" for table, name in below if f"_{name}".endswith(f"_{key}")]
