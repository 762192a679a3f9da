"""
The shortest way of JSON, by msgspec: what comes of a value does not depend on the way that it goes.
"""

from __future__ import annotations

import json
import math
from abc import ABC
from collections.abc import Callable, Mapping, Sequence
from dataclasses import InitVar, dataclass, field, make_dataclass
from typing import Annotated, Any, ClassVar

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from remora._structure import Refused, Shortcuts, make_direct_reader, make_direct_writer
from remora.codecs import JsonCodec, RecordConverter, _parsed

pytest.importorskip("msgspec")


@dataclass(frozen=True, slots=True)
class Inner:
    a: int = 1
    b: str = "x"

    def __post_init__(self) -> None:
        if self.a < 0:
            raise ValueError("a is negative")


@dataclass
class Every:
    a: str
    b: int
    c: float = 0.5
    d: bool | None = None
    e: list[float] = field(default_factory=list)
    f: Mapping[str, int | None] = field(default_factory=dict)
    g: tuple[Inner, ...] = ()
    h: object = None
    i: list[list[int]] | None = None
    j: Inner | None = field(default=None, kw_only=True)
    k: dict[str, Any] = field(default_factory=dict)
    kind: ClassVar[str] = "every"


@dataclass(kw_only=True)
class Child(Every):
    l: None = None  # noqa: E741


@dataclass
class Constructed:
    a: int

    def __init__(self, a: int) -> None:
        self.a = a + 1


@dataclass
class Counted:
    a: int
    b: int = field(default=0, init=False)


@dataclass
class Seeded:
    a: int
    seed: InitVar[int] = 0


@dataclass
class Watched:
    a: int

    def __setattr__(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value if name != "a" else 7)


@dataclass
class Computed:
    a: int

    def __getattribute__(self, name: str) -> Any:
        return 5 if name == "a" else object.__getattribute__(self, name)


@dataclass
class Made:
    a: int

    def __new__(cls, *_: object, **__: object) -> Made:
        return object.__new__(cls)


@dataclass
class Abstract(ABC):
    a: int


@dataclass
class Listed:
    a: Sequence[int]


@dataclass
class Tree:
    a: list[Tree]


@attrs.define
class Attrs:
    a: int


class Doubled:
    """
    A descriptor that answers with twice what was stored.
    """

    def __get__(self, record: object, owner: type | None = None) -> int:
        return 0 if record is None else 2 * int(record.__dict__["a"])

    def __set__(self, record: object, value: int) -> None:
        record.__dict__["a"] = value


@dataclass
class Described:
    a: int = Doubled()  # type: ignore[assignment]


_DIRECT: list[Any] = [
    Every,
    Child,
    Inner,
    list[Every],
    dict[str, list[bool]],
    tuple[str, ...],
    float,
    str | None,
    object,
]
_OTHER: list[Any] = [
    Constructed, Counted, Seeded, Watched, Computed, Made, Abstract, Listed, Tree, Attrs, Described,
    bytes, dict[int, str],
]  # fmt: skip
_READERS = {str(type_): make_direct_reader(type_) for type_ in _DIRECT}
_WRITERS = {cls: make_direct_writer(cls) for cls in (Every, Child, Inner, str)}
_CODEC, _CONVERTER = JsonCodec(), RecordConverter("JSON")

_text = st.text(st.characters(), max_size=3)
_numbers = st.integers() | st.floats() | st.sampled_from([1e15, 1e16, -1e16, 1e-4, 9e-5, -0.0, 2**64, 10**400])
_keys = st.sampled_from([*"abcdefghijkl", "other"])
_values = st.recursive(
    st.none() | st.booleans() | _text | _numbers,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys | _text, inner, max_size=5),
    max_leaves=10,
)
_inner = st.fixed_dictionaries({}, optional={"a": st.integers(-1, 5), "b": _text, "other": _text})
_right = st.fixed_dictionaries(
    {"a": _text, "b": st.integers()},
    optional={
        "c": _numbers, "d": st.none() | st.booleans(), "e": st.lists(_numbers, max_size=3),
        "f": st.dictionaries(_text, st.none() | st.integers(), max_size=2), "g": st.lists(_inner, max_size=2),
        "h": _values, "i": st.none() | st.lists(st.lists(st.integers(), max_size=2), max_size=2),
        "j": st.none() | _inner, "k": st.dictionaries(_text, _values, max_size=2), "l": st.none(),
    },
)  # fmt: skip


@given(st.sampled_from([Every, Child]), _right)
def test_record_is_read_as_the_converter_reads_it(cls: type, value: dict[str, Any]) -> None:
    """
    With fields left out, with others, with numbers of any size; what it gives up at is left to the converter.
    """
    _check_reading(cls, json.dumps(value).encode())


@given(st.sampled_from(_DIRECT), _values)
def test_anything_is_read_as_the_converter_reads_it(type_: Any, value: object) -> None:
    """
    Or it gives up.
    """
    _check_reading(type_, json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass"))


@given(_right, st.binary(max_size=3), st.integers(0, 400), st.booleans())
def test_broken_text_is_refused_as_without_msgspec(value: dict[str, Any], junk: bytes, at: int, cut: bool) -> None:
    """
    Cut off, or with bytes in between that do not belong there.
    """
    text = json.dumps(value, ensure_ascii=False).encode(errors="replace")

    _check_reading(Every, text[:at] + junk + (b"" if cut else text[at:]))


@pytest.mark.parametrize(
    "text",
    [
        b'{"a":"x","b":1.0}', b'{"a":"x","b":"1"}', b'{"a":"x","b":true}', b'{"a":"x","b":-0}',
        b'{"a":"x","b":1,"c":-0}', b'{"a":"x","b":1,"c":9007199254740993}', b'{"a":"x","b":1,"h":1e5}',
        b'{"a":"x","b":"x","b":1}', b'{"a":"x","b":1,"b":"x"}', b'{"a":"\\ud800","b":1}', b'{"a":"x","b":1,"c":NaN}',
        b'{"a":"x","b":1,"c":1e999}', b'{"a":"x","b":1,"other":"\xff"}', b'{"a":"x","b":1,"other":"\\ud800"}',
        b'{"a":"x","b":1,"other":NaN}', b'{"\\u0061":"x","b":1}', b'\xef\xbb\xbf{"a":"x","b":1}', b' {"a":"x","b":1}\n',
        b'{"a":"x","b":1}{}', b"", b"null", b"[]", b'{"a":"x\x01","b":1}', b'{"a":"x","b":01}',
        b'{"a":"x","b":1,"j":{"a":-1}}',
        b'{"a":"x","b":' + b"1" * 5000 + b"}", b'{"a":"x","b":1,"h":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"a":"x","b":1,"other":' + b"[" * 5000 + b"]" * 5000 + b"}",
    ],
)  # fmt: skip
def test_what_readers_of_json_like_to_differ_in_is_the_same(text: bytes) -> None:
    """
    Whole numbers, signs, keys that come twice, half characters, numbers that are none, depth.
    """
    _check_reading(Every, text)


def test_only_the_size_of_a_number_that_nobody_asked_for_is_not_looked_at() -> None:
    """
    The one difference, in a key that the record does not have.
    """
    assert Inner() == _READERS[str(Inner)]('{"other":1e999}')
    with pytest.raises(ValueError, match="too large"):
        _CODEC.decode(b'{"other":1e999}', Attrs)


def _check_reading(type_: Any, text: bytes) -> None:
    try:
        given = _READERS[str(type_)](text if text.isascii() else text.decode())
    except Exception:
        return  # the codec goes the long way, which says what is wrong
    assert repr(_converted(text, type_)) == repr(given), text


def _converted(text: bytes, type_: Any) -> object:
    return _CONVERTER.structure(_parsed(text), type_)


@given(st.text() | st.text(st.characters(max_codepoint=0x2100), min_size=50))
@example("".join(map(chr, range(0x300))) + "\u2028\u2029\ud800")
@example("".join(map(chr, range(0x300))) + "\u2028\u2029\U0001f600")
def test_text_is_written_as_without_msgspec(text: str) -> None:
    """
    Byte for byte, or it gives up.
    """
    _check_writing(text)


@given(_right, st.sampled_from("abcdefghijk"), _values | st.sampled_from([b"x", {1}, Inner(2), (Inner(), 1), [1e16]]))
@example({"a": "x", "b": 1}, "c", math.nan)
@example({"a": "x", "b": 1}, "h", {"k": [math.inf]})
@example({"a": "x", "b": 1}, "j", attrs.make_class("Inner", {"a": attrs.field(type=int)})(1))
def test_record_is_written_as_without_msgspec(value: dict[str, Any], name: str, part: object) -> None:
    """
    Byte for byte, whatever stands in one of its fields; or it gives up.
    """
    try:
        record = _converted(json.dumps(value).encode(), Every)
    except ValueError:
        return
    _check_writing(record)
    object.__setattr__(record, name, part)
    _check_writing(record)


def _check_writing(record: object) -> None:
    try:
        written = _WRITERS[type(record)](record)
    except Exception:
        return
    encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))

    assert encoder.encode(_CONVERTER.unstructure(record)).encode() == written


@given(st.floats())
def test_float_is_written_as_python_writes_it_or_not_at_all(number: float) -> None:
    """
    Within the bounds all digits are the same; outside of them it gives up.
    """
    _check_writing(Every("x", 1, number))


def test_usual_record_goes_this_way_there_and_back() -> None:
    """
    Else the comparisons would compare nothing.
    """
    record = Every("é", 2**70, 12.5, True, [1, 0.25], {"k": None}, (Inner(),), {"x": [1, None, 0.5]}, [[1]], j=Inner(3))
    written = _WRITERS[Every](record)

    assert record == _READERS[str(Every)](written.decode())
    assert b'"g":[{"a":1,"b":"x"}]' in written


_WRONG: list[Any] = [Every("x", True), Every("x", 1, e=(1.0,)), Every("x", 1, h=[math.nan])]  # type: ignore[arg-type]
_WRONG += [Every("x", 1, g=(Every("x", 1),))]  # type: ignore[arg-type]


@pytest.mark.parametrize("record", _WRONG, ids=str)
def test_record_whose_values_are_not_those_of_its_fields_is_given_up(record: Every) -> None:
    """
    Also where msgspec would write it.
    """
    with pytest.raises(Refused):
        _WRITERS[Every](record)


@pytest.mark.parametrize("type_", _OTHER, ids=str)
def test_type_of_which_msgspec_would_make_something_else_goes_another_way(type_: Any) -> None:
    """
    A constructor, a setter or a descriptor of its own; what is not simple anyway.
    """
    for make in (make_direct_reader, make_direct_writer):
        assert _no_function is Shortcuts(lambda _: _no_function, make)._found(type_)


@pytest.mark.parametrize("name", ["self", "cls", "value", "v1", "hold", "_a", "type", "é"])
def test_field_may_have_any_name(name: str) -> None:
    """
    Also one that the function has for something of its own.
    """
    cls = make_dataclass("Named", [(name, int), ("v0", str)])
    cls.__module__ = __name__

    assert f'{{"{name}":1,"v0":"x"}}'.encode() == make_direct_writer(cls)(cls(1, "x"))


def test_field_that_has_a_name_of_pythons_goes_another_way() -> None:
    """
    What holds the values has such names of its own.
    """
    cls = make_dataclass("Named", [("__struct_fields__", int)])
    cls.__module__ = __name__

    with pytest.raises(Refused):
        make_direct_writer(cls)


def test_type_goes_this_way_once_it_has_been_used_for_a_while() -> None:
    """
    A plugin that is asked a few times does not load msgspec.
    """
    functions = Shortcuts(lambda _: _no_function, make_direct_reader)

    assert [False] * 7 + [True] * 3 == [functions[Inner] is not _no_function for _ in range(10)]
    assert {_no_function} == {functions[Attrs] for _ in range(10)}


def test_without_msgspec_no_type_goes_this_way() -> None:
    """
    It has the short one from the first time on.
    """
    functions = Shortcuts(lambda _: _no_function, make_direct_reader, needs="no_such_package")

    assert _no_function is functions[Inner]
    assert {Inner: _no_function} == functions


@pytest.mark.parametrize("uses", [1, 8])
def test_classes_that_are_made_all_the_time_do_not_pile_up(uses: int) -> None:
    """
    The functions of the last thousand are kept, be they used often or not.
    """
    functions = Shortcuts(lambda _: None, lambda _: _no_function, needs="json")
    for number in range(1500):
        for _ in range(uses):
            functions[number]

    assert len(functions) <= 1024
    assert len(functions._uses) <= 1024


@pytest.mark.parametrize("cls", [Every, Inner])
def test_codec_gives_the_same_before_and_after(cls: type) -> None:
    """
    Which way it goes is nowhere to be seen.
    """
    record = Inner(4, "y") if cls is Inner else Every("x", 1, 1e300, j=Inner())
    payloads = {_CODEC.encode(record) for _ in range(20)}
    records = [_CODEC.decode(payload, cls) for payload in payloads for _ in range(20)]

    assert 1 == len(payloads)
    assert [record] * 20 == records


@pytest.mark.parametrize("type_", [Every, Inner, object, str | None, Annotated[Inner, []]], ids=str)
def test_what_is_prepared_for_a_type_does_what_the_codec_does(type_: Any) -> None:
    """
    From the first time on, with records of its class and with others, with right ones and with wrong ones, also for
    types that are no keys.
    """
    encode, decode = _CODEC.encoder(type_), _CODEC.decoder(type_)
    values = [Every("x", 1), Inner(4, "é"), Every("x", 1, 1e300), "text", Every("x", object()), object()]  # type: ignore[arg-type]
    payloads = [b'{"a":"x","b":1}', b'{"a":4,"b":"\xc3\xa9"}', b'{"other":"\xff"}', b'{"a":-1}', b'"text"', b"", b"[1"]
    for _ in range(10):
        assert [_outcome(_CODEC.encode, each) for each in values] == [_outcome(encode, each) for each in values]
        expected = [_outcome(_CODEC.decode, each, type_) for each in payloads]

        assert expected == [_outcome(decode, each) for each in payloads]


def test_subclass_that_writes_and_reads_in_another_way_is_asked() -> None:
    """
    However often a type has been used.
    """

    class Padded(JsonCodec):
        def encode(self, value: object, /) -> bytes:
            return super().encode(value) + b" "

        def decode(self, payload: bytes, type_: type[Any], /) -> Any:
            return [super().decode(payload, type_)]

    encode, decode = Padded().encoder(Inner), Padded().decoder(Inner)
    for _ in range(10):
        payload = encode(Inner())

        assert b'{"a":1,"b":"x"} ' == payload
        assert [Inner()] == decode(payload)


def _outcome(function: Callable[..., object], *arguments: Any) -> object:
    try:
        return function(*arguments)
    except ValueError as error:
        return str(error)


def _no_function(value: Any) -> Any:
    return value
