"""
The short way of JSON for simple records: what comes of a value does not depend on the way that it goes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Annotated, Any, Generic, NamedTuple, TypedDict, TypeVar

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora._structure import quick_reader, quick_writer
from remora.codecs import JsonCodec, RecordConverter
from remora.types import MethodInfo, PluginInfo

T = TypeVar("T")


@dataclass
class Plain:
    a: str
    b: int
    c: float = 0.5
    d: bool | None = None
    e: list[int] = field(default_factory=list)
    f: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Strict:
    a: int = 1
    b: tuple[Plain, ...] = ()

    def __post_init__(self) -> None:
        if self.a < 0:
            raise ValueError("a is negative")


@attrs.define
class Attrs:
    _a: str
    b: Plain | None = None
    c: object = attrs.field(factory=list, kw_only=True)
    d: dict[str, Any] = attrs.field(factory=dict)
    e: Sequence[str] = ()
    f: None = None


class Odd(IntEnum):
    ONE = 1


@dataclass
class Sub(Plain):
    g: str = ""


@dataclass
class Tree:
    a: list[Tree]


@dataclass
class Page(Generic[T]):
    a: T


@dataclass
class Fixed:
    a: tuple[int, str]


@dataclass
class Marked:
    a: Annotated[int, "meters"]


@dataclass
class Word(str):
    a: int = 0


class Pair(NamedTuple):
    a: int


class Table(TypedDict):
    a: int


_QUICK: list[Any] = [
    Plain,
    Strict,
    Attrs,
    Sub,
    PluginInfo,
    list[Plain],
    dict[str, list[bool]],
    tuple[str, ...],
    str | None,
]
_QUICK += [str, int, float, bool, None, object, list, dict, tuple]
_SLOW: list[Any] = [
    Tree,
    Page,
    Page[int],
    Fixed,
    Marked,
    Word,
    Pair,
    Table,
    Odd,
    int | str,
    tuple[int],
    tuple[()],
    bytes,
]
_SLOW += [dict[int, str], set[int], tuple[int, object], Callable]

_FEW: list[Any] = ["", "a", "1", 0, 1, -1, True, False, None, 1.0, -0.0, 1e300, 2**70, [], {}, [1], ["a"], {"a": "x"}]
_OTHERS: list[Any] = [Odd.ONE, Plain("x", 1), Sub("x", 1), (1, 2), [Plain("x", 1)], {1: 2}, b"x", math.nan, "\ud800"]
_OTHERS += [Pair(1), [Pair(1)], {Odd.ONE}, {"a": Odd.ONE}, {1: 1.0}, ["\ud800"], object()]
_others = st.sampled_from(_OTHERS)
_few = st.sampled_from(_FEW)
_keys = st.sampled_from(["a", "_a", "b", "c", "d", "e", "f", "g", "name", "methods", "metadata"])
_values = st.recursive(
    _few | st.text(st.characters(), max_size=3) | st.floats() | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=6),
    max_leaves=8,
)
_PLAIN: dict[str, Any] = {"a": "x", "b": 1, "c": 0.5, "d": True, "e": [1, 2], "f": {"k": 1.5, "l": None}}
_METHOD = {"service": "s", "name": "m", "idempotent": True, "request": {"type": ["object", 1, None]}}
_RIGHT: dict[Any, Any] = {
    Plain: _PLAIN,
    Strict: {"a": 1, "b": [_PLAIN]},
    Attrs: {"_a": "x", "b": _PLAIN, "c": [{"k": 1}], "d": {"k": [1]}, "e": ["x"], "f": None},
    Sub: {**_PLAIN, "g": "x"},
    PluginInfo: {"name": "p", "capabilities": ["x"], "metadata": {"k": "v"}, "methods": [_METHOD]},
    list[Plain]: [_PLAIN],
    dict[str, list[bool]]: {"k": [True]},
    tuple[str, ...]: ["x"],
}


_CODEC, _CONVERTER = JsonCodec(), RecordConverter("JSON")


def _changed(value: Any) -> Iterator[Any]:
    """
    A value with one part after another left out, or replaced by each of a few others.
    """
    yield from _FEW
    items = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    for key, part in items:
        rest = {k: each for k, each in items if k != key}
        yield rest if isinstance(value, dict) else list(rest.values())
        for other in _changed(part):
            changed = {k: other if k == key else each for k, each in items}
            yield changed if isinstance(value, dict) else list(changed.values())


_objects = _few | _values


@pytest.mark.parametrize("type_", _RIGHT, ids=str)
def test_reading_gives_what_the_converter_gives_whatever_is_changed(type_: Any) -> None:
    """
    The same record of the same parts, or the same message.
    """
    for value in _changed(_RIGHT[type_]):
        _check_reading(type_, value)


@given(st.sampled_from(_QUICK), _objects)
def test_reading_gives_what_the_converter_gives(type_: Any, value: object) -> None:
    """
    Likewise, of anything.
    """
    _check_reading(type_, value)


def _check_reading(type_: Any, value: object) -> None:
    text = json.dumps(value)
    if "Infinity" not in text and "NaN" not in text:
        expected = _outcome(lambda: _CONVERTER.structure(json.loads(text), type_))

        assert expected == _outcome(lambda: _CODEC.decode(text.encode(), type_)), text


@pytest.mark.parametrize("cls", [Plain, Sub, Strict, Attrs, PluginInfo])
def test_writing_gives_what_the_converter_gives_whatever_is_changed(cls: Any) -> None:
    """
    The same text or the same message, also for what does not belong into a field.
    """
    for name in _names(cls):
        for value in [*_FEW, *_OTHERS]:
            _check_writing(cls, name, value)


@given(st.sampled_from([Plain, Sub, Strict, Attrs]), st.sampled_from("abcdefg"), _objects | _others)
def test_writing_gives_what_the_converter_gives(cls: Any, name: str, value: object) -> None:
    """
    Likewise, of anything.
    """
    _check_writing(cls, name if name in _names(cls) else _names(cls)[0], value)


def _check_writing(cls: Any, name: str, value: object) -> None:
    record = _CODEC.decode(json.dumps(_RIGHT[cls]).encode(), cls)
    object.__setattr__(record, name, value)

    assert _outcome(lambda: _written(record)) == _outcome(lambda: _CODEC.encode(record))


@given(st.tuples(st.text(max_size=3), st.integers(), st.floats(), st.lists(st.integers())))
def test_what_belongs_into_a_record_comes_back(values: tuple[str, int, float, list[int]]) -> None:
    """
    Any text that UTF-8 can carry, any whole number, any finite number.
    """
    text, whole, number, items = values
    record = Plain(text, whole, number, e=items)

    assert _outcome(lambda: _written(record)) == _outcome(lambda: _CODEC.encode(record))
    if math.isfinite(number):
        assert record == _CODEC.decode(_CODEC.encode(record), Plain)


@pytest.mark.parametrize("type_", _QUICK, ids=str)
def test_simple_type_goes_the_short_way(type_: Any) -> None:
    """
    Else the comparison would be one of the converter with itself.
    """
    assert quick_reader(type_) is not None
    assert quick_writer(MethodInfo) is not None


@pytest.mark.parametrize("type_", _SLOW, ids=str)
def test_other_type_goes_the_long_way(type_: Any) -> None:
    """
    What has hooks of its own, or contains itself, or says more than its class.
    """
    assert quick_reader(type_) is None
    assert not isinstance(type_, type) or quick_writer(type_) is None or type_ in (Callable,)


def _names(cls: Any) -> list[str]:
    return [each.name for each in (attrs.fields(cls) if attrs.has(cls) else fields(cls))]


def _written(record: object) -> bytes:
    """
    What the codec does with a record that is not simple.
    """
    encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    plain = _CONVERTER.unstructure(record)
    try:
        return encoder.encode(plain).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise _CONVERTER.refusal(record, error, write=lambda part: encoder.encode(part).encode()) from error


def _outcome(work: Callable[[], object]) -> tuple[str, object]:
    try:
        result = work()
    except ValueError as error:
        return "error", str(error)
    return "result", repr(result)
