"""
Values of generated types: scalars, collections of them, and records of every kind, nested.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable
from dataclasses import make_dataclass
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Any, Literal, NamedTuple, Optional, TypedDict
from uuid import UUID

import attrs
from hypothesis import strategies as st

Typed = tuple[Any, st.SearchStrategy[Any]]


class Colour(Enum):
    RED = "red"
    SEVEN = 7


class Size(IntEnum):
    SMALL = 1
    LARGE = 2


class Word(StrEnum):
    YES = "yes"
    NO = "no"


_offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_SCALARS: list[Typed] = [
    (str, st.text()),
    (int, st.integers()),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (bool, st.booleans()),
    (type(None), st.none()),
    (bytes, st.binary()),
    (datetime, st.datetimes(timezones=st.none() | _offsets)),
    (date, st.dates()),
    (time, st.times()),
    (timedelta, st.timedeltas(timedelta(days=-1000), timedelta(days=1000))),
    (UUID, st.uuids()),
    (Decimal, st.decimals(allow_nan=False, allow_infinity=False)),
    (Path, st.text("ab/", min_size=1).map(Path)),
    (Colour, st.sampled_from(Colour)),
    (Size, st.sampled_from(Size)),
    (Word, st.sampled_from(Word)),
    (Literal["a", 1, True], st.sampled_from(["a", 1, True])),
    (int | str | None, st.integers() | st.text() | st.none()),
    (date | datetime | int, st.dates() | st.datetimes() | st.integers()),
]


def _collections(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    return st.one_of(
        inner.map(lambda typed: (list[typed[0]], st.lists(typed[1], max_size=3))),
        inner.map(lambda typed: (tuple[typed[0], ...], st.lists(typed[1], max_size=3).map(tuple))),
        inner.map(lambda typed: (dict[str, typed[0]], st.dictionaries(st.text(), typed[1], max_size=3))),
        inner.map(lambda typed: (dict[int, typed[0]], st.dictionaries(st.integers(), typed[1], max_size=3))),
        inner.map(lambda typed: (Optional[typed[0]], st.none() | typed[1])),  # noqa: UP045
        st.tuples(inner, inner).map(lambda pair: (tuple[pair[0][0], pair[1][0]], st.tuples(pair[0][1], pair[1][1]))),
        st.dictionaries(_names, inner, min_size=1, max_size=4).flatmap(_records),
    )


_names = st.text("abcdef", min_size=1, max_size=3).filter(lambda name: not keyword.iskeyword(name))
_KINDS: list[Callable[[str, dict[str, Any]], Any]] = [
    lambda name, fields: make_dataclass(name, list(fields.items()), frozen=True),
    lambda name, fields: attrs.make_class(name, {key: attrs.field(type=type_) for key, type_ in fields.items()}),
    lambda name, fields: TypedDict(name, fields),  # type: ignore[operator]
    lambda name, fields: NamedTuple(name, list(fields.items())),  # type: ignore[misc]
]


def _records(fields: dict[str, Typed]) -> st.SearchStrategy[Typed]:
    types = {name: typed[0] for name, typed in fields.items()}
    values = {name: typed[1] for name, typed in fields.items()}
    made = st.sampled_from(_KINDS).map(lambda kind: kind("Generated", types))
    return made.map(lambda cls: (cls, st.fixed_dictionaries(values).map(lambda given: cls(**given))))


def typed_values() -> st.SearchStrategy[tuple[Any, Any]]:
    """
    Pairs of a type and a value of it.
    """
    types = st.recursive(st.sampled_from(_SCALARS), _collections, max_leaves=6)
    return types.flatmap(lambda typed: st.tuples(st.just(typed[0]), typed[1]))
