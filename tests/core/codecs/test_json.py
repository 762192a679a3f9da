"""
JSON payloads: what is written, what is read back, and what is said about a wrong one.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum, IntFlag, StrEnum
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, NotRequired, TypedDict, TypeVar
from uuid import UUID

import attrs
import pytest
from cattrs import BaseValidationError
from hypothesis import given, settings
from hypothesis import strategies as st

import remora.plugin
from remora._structure import describe_errors, make_converter
from remora.codecs import JsonCodec
from tests.share import of_hundred

T = TypeVar("T")
UserId = NewType("UserId", int)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Flags(IntFlag):
    READ = 1
    WRITE = 2


class Pairs(Enum):
    FIRST = (1, 2)


class Mixed(Enum):
    WORD = "word"
    NUMBER = 2


@attrs.frozen
class Item:
    price: float
    name: str = "thing"


@dataclass(frozen=True)
class Circle:
    kind: Literal["circle"]
    radius: float


@dataclass(frozen=True)
class Square:
    kind: Literal["square"]
    side: float


class Address(TypedDict):
    street: str
    since: NotRequired[date]


class Point(NamedTuple):
    x: int
    y: int = 0


@dataclass
class Node:
    value: int
    children: list[Node] = field(default_factory=list)
    named: dict[str, Node] = field(default_factory=dict)
    next: Node | None = None


class TypedNode(TypedDict):
    value: int
    children: NotRequired[list[TypedNode]]
    next: NotRequired[TypedNode | None]


@dataclass
class Box(Generic[T]):
    value: T
    others: list[T]


@dataclass
class Branch(Generic[T]):
    value: Annotated[T, "noted"]
    others: list[Annotated[T, "noted"]]
    below: list[Branch[T]] = field(default_factory=list)


@attrs.frozen
class Moment:
    day: date


@attrs.frozen
class Keyed(Generic[T]):
    by_name: dict[str, T]
    first: tuple[T, int]
    pages: Mapping[str, dict[str, list[T]]] = {}


@attrs.frozen
class Order:
    user_id: UserId
    items: list[Item]
    shape: Circle | Square
    note: str | None = None
    place: Annotated[Address | None, "where"] = None


@attrs.frozen
class Positive:
    number: int = attrs.field(validator=attrs.validators.gt(0))


@attrs.frozen
class AllDefaults:
    name: str = "x"


ORDER = Order(UserId(1), [Item(2.5)], Circle("circle", 1.0), place={"street": "Main", "since": date(2026, 1, 2)})


@pytest.fixture(scope="module")
def codec() -> JsonCodec:
    return JsonCodec()


def problem(codec: JsonCodec, value: object, type_: Any) -> str:
    with pytest.raises(ValueError, match=r".") as caught:
        codec.decode(json.dumps(value).encode(), type_)
    return str(caught.value)


@settings(max_examples=of_hundred(150))
@given(data=st.data())
def test_what_is_written_is_read_back(
    codec: JsonCodec, typed_values: st.SearchStrategy[tuple[Any, Any]], data: st.DataObject
) -> None:
    """Any value of any type comes back as it was, with its types."""
    type_, value = data.draw(typed_values)

    result = codec.decode(codec.encode(value), type_)

    assert value == result
    assert type(value) is type(result)


@given(payload=st.binary(max_size=60), type_=st.sampled_from([Order, Node, list[Circle | Square], dict[int, Point]]))
def test_garbage_is_a_value_error_or_a_record(codec: JsonCodec, payload: bytes, type_: Any) -> None:
    """No bytes make the codec fail in any other way."""
    with contextlib.suppress(ValueError):
        codec.decode(payload, type_)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["user_id", "items", "shape", "kind", "price", "value"]), inner)
    ),
)


@given(value=_json, type_=st.sampled_from([Order, Node, Circle | Square | Item | None, TypedNode]))
def test_foreign_values_are_records_or_value_errors(codec: JsonCodec, value: object, type_: Any) -> None:
    """JSON of any shape gives a record that writes itself again, or an error with a path."""
    with contextlib.suppress(ValueError):
        record = codec.decode(json.dumps(value).encode(), type_)
        assert codec.decode(codec.encode(record), type_) == record


def test_json_is_compact_utf8(codec: JsonCodec) -> None:
    """No spaces, no escapes."""
    assert '{"price":1.5,"name":"größe"}'.encode() == codec.encode(Item(1.5, "größe"))


@pytest.mark.parametrize(
    ("value", "type_", "text"),
    [
        (datetime(2026, 1, 2, 3, tzinfo=UTC), datetime, '"2026-01-02T03:00:00+00:00"'),
        (date(2026, 1, 2), date, '"2026-01-02"'),
        (b"\x00\xff", bytes, '"AP8="'),
        (Decimal("1.50"), Decimal, '"1.50"'),
        (UUID(int=5), UUID, '"00000000-0000-0000-0000-000000000005"'),
        (Point(1, 2), Point, '{"x":1,"y":2}'),
        (Mixed.NUMBER, Mixed, "2"),
        (Level.HIGH, Level, "2"),
        (Flags.READ | Flags.WRITE, Flags, "3"),
        (Pairs.FIRST, Pairs, "[1,2]"),
        ({Colour.RED}, set[Colour], '["red"]'),
        ({3: Item(1.0)}, dict[int, Item], '{"3":{"price":1.0,"name":"thing"}}'),
        ({True: 1}, dict[bool, int], '{"true":1}'),
        (Box(1, [2]), Box[int], '{"value":1,"others":[2]}'),
        (Box(date(2026, 1, 2), []), Box[date], '{"value":"2026-01-02","others":[]}'),
        (
            Branch(1, [2], [Branch(3, [])]),
            Branch[int],
            '{"value":1,"others":[2],"below":[{"value":3,"others":[],"below":[]}]}',
        ),
        ((1, "a"), tuple[int, str], '[1,"a"]'),
        ((), tuple[()], "[]"),
        (None, None, "null"),
        ({"a": [1, None, {"b": 2.5}]}, dict, '{"a":[1,null,{"b":2.5}]}'),
        ({"a": [1]}, object, '{"a":[1]}'),
        ({"value": 1, "children": [{"value": 2}]}, TypedNode, '{"value":1,"children":[{"value":2}]}'),
        (deque([1]), deque[int], "[1]"),
        ((1, 2), Sequence[int], "[1,2]"),
        (frozenset([1]), AbstractSet[int], "[1]"),
        (Counter("aa"), Counter[str], '{"a":2}'),
        (OrderedDict(a=1), OrderedDict[str, int], '{"a":1}'),
        (defaultdict(list, a=[1]), defaultdict[str, list[int]], '{"a":[1]}'),
        ({"a": b"x"}, Mapping[str, bytes], '{"a":"eA=="}'),
        (ORDER.shape, Circle | Square, '{"kind":"circle","radius":1.0}'),
    ],
)
def test_each_kind_of_value_has_its_text(codec: JsonCodec, value: object, type_: Any, text: str) -> None:
    """The text is what peers in other languages expect, and it is read back."""
    assert text == codec.encode(value).decode()
    assert value == codec.decode(text.encode(), type_)


def test_whole_orders_travel(codec: JsonCodec) -> None:
    """Records of all kinds nest."""
    assert codec.decode(codec.encode(ORDER), Order) == ORDER


def test_objects_inside_any_field_are_written_by_their_own_type(codec: JsonCodec) -> None:
    """A field that may be anything may hold a record or a datetime."""
    assert (
        codec.encode(Box[object](Item(1.0), [date(2026, 1, 2)]))
        == b'{"value":{"price":1.0,"name":"thing"},"others":["2026-01-02"]}'
    )


def test_records_travel_in_every_place_of_a_generic_record(codec: JsonCodec) -> None:
    """What a parameter stands for is written by its own type, whatever it is the parameter of."""
    when = Moment(date(2026, 1, 2))
    keyed = Keyed({"a": when}, (when, 1), {"b": {"c": [when]}})
    text = codec.encode([keyed])

    assert (
        b'[{"by_name":{"a":{"day":"2026-01-02"}},"first":[{"day":"2026-01-02"},1],'
        b'"pages":{"b":{"c":[{"day":"2026-01-02"}]}}}]' == text
    )
    assert [keyed] == codec.decode(text, list[Keyed[Moment]])


def test_recursive_records_travel(codec: JsonCodec) -> None:
    """A record may contain its own kind in every way."""
    node = Node(1, [Node(2)], {"a": Node(3)}, Node(4, [Node(5)]))

    assert node == codec.decode(codec.encode(node), Node)


def test_unknown_keys_are_ignored(codec: JsonCodec) -> None:
    """A newer plugin may say more than the host knows."""
    assert Item(1.0) == codec.decode(b'{"price":1.0,"new":[1]}', Item)
    assert codec.decode(b'{"street":"Main","new":1}', Address) == {"street": "Main"}


def test_the_last_of_equal_keys_counts(codec: JsonCodec) -> None:
    """As in every reader of plain JSON."""
    assert Item(2.0) == codec.decode(b'{"price":1.0,"price":2.0}', Item)


def test_whole_numbers_are_floats_where_floats_are_wanted(codec: JsonCodec) -> None:
    """Other languages write 1 for 1.0."""
    result = codec.decode(b'{"price":1}', Item)

    assert float is type(result.price)


def test_an_empty_payload_is_null(codec: JsonCodec) -> None:
    """A method that returns nothing needs no payload."""
    assert codec.decode(b"", type(None)) is None


@pytest.mark.parametrize(
    ("value", "type_", "message"),
    [
        ("5", int, '$: expected int, got "5"'),
        (True, int, "$: expected int, got true"),
        (5.0, int, "$: expected int, got 5.0"),
        (True, float, "$: expected float, got true"),
        (10**400, float, "$: expected float, got 1"),
        (1, bool, "$: expected bool, got 1"),
        (1, str, "$: expected str, got 1"),
        (0, None, "$: expected null, got 0"),
        ("abc", list[str], '$: expected list, got "abc"'),
        ({"a": 1}, list[str], "$: expected list, got an object"),
        ([1], dict, "$: expected object, got a list"),
        ("x", AllDefaults, '$: expected object, got "x"'),
        ([], Point, "$: expected object, got a list"),
        ([1], tuple[int, str], "$: expected list of 2 items, got 1"),
        ({}, Address, "$.street: missing"),
        ({}, Point, "$.x: missing"),
        (
            {"items": [{"price": "abc"}], "user_id": 1, "shape": {"kind": "circle", "radius": 1}},
            Order,
            '$.items[0].price: expected float, got "abc"',
        ),
        ({"price": 1, "name": None}, Item, "$.name: expected str, got null"),
        ({"a": {"b c": {"x": "1"}}}, dict[str, dict[str, Point]], '$.a["b c"].x: expected int, got "1"'),
        ({"x": 1}, dict[int, int], '$.x: expected int, got "x"'),
        ("green", Colour, '$: expected "red" or "blue", got "green"'),
        (True, Level, "$: expected 1 or 2, got true"),
        (1.0, Level, "$: expected 1 or 2, got 1.0"),
        ("w", Mixed, '$: expected "word" or 2, got "w"'),
        (True, Literal["a", 1], '$: expected "a" or 1, got true'),
        ([], Literal["a", 1], '$: expected "a" or 1, got a list'),
        ("yesterday", datetime, '$: expected datetime in ISO 8601, got "yesterday"'),
        ("2026-13-01", date, '$: expected date in ISO 8601, got "2026-13-01"'),
        ("x", UUID, '$: expected UUID, got "x"'),
        ("x", Decimal, '$: expected decimal number as text, got "x"'),
        ("!", bytes, '$: expected bytes as base64 text, got "!"'),
        ("é", bytes, '$: expected bytes as base64 text, got "é"'),
        (1.5, int | str | None, "$: expected int, str or null, got 1.5"),
        (["a"], list[int] | str, '$[0]: expected int, got "a"'),
        ({"kind": "hexagon"}, Circle | Square, '$.kind: expected "circle" or "square", got "hexagon"'),
        ({"kind": 1}, Circle | Square | None | int, '$.kind: expected "circle" or "square", got 1'),
        ({}, Circle | Square, "$.kind: missing"),
        ({"kind": "circle"}, Circle | Square, "$.radius: missing"),
        ({"kind": "circle", "radius": "1"}, Circle | Square | None, '$.radius: expected float, got "1"'),
        ({"q": 1}, Item | Point, "$: expected Item or Point, got an object"),
        ({"number": 0}, Positive, "$: 'number' must be > 0: 0"),
        ({"value": 1, "others": ["2"]}, Box[int], '$.others[0]: expected int, got "2"'),
        (
            {"value": 1, "others": [], "below": [{"value": "2", "others": []}]},
            Branch[int],
            '$.below[0].value: expected int, got "2"',
        ),
        (1, JsonCodec, "$: the type JsonCodec is not supported"),
        ("x" * 60, int, f'$: expected int, got "{"x" * 39}...'),
    ],
)
def test_a_wrong_reply_names_the_field(codec: JsonCodec, value: object, type_: Any, message: str) -> None:
    """Path, what was expected and what was there instead."""
    assert problem(codec, value, type_).startswith(message)


def test_several_problems_are_told_at_once_but_not_all(codec: JsonCodec) -> None:
    """Five are enough to see what is going on."""
    assert problem(codec, [None, 1, None], list[int]) == "$[0]: expected int, got null; $[2]: expected int, got null"
    assert problem(codec, [None] * 9, list[int]).count("expected") == 5


@pytest.mark.fault(65)
@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"\xff", "not JSON: not UTF-8 at byte 0"),
        (b"[1,", "not JSON: Expecting value at character 3"),
        (b"NaN", "NaN is not a number in JSON"),
        (b"[-Infinity]", "-Infinity is not a number in JSON"),
        (b"1e999", "a number is too large"),
        (b"9" * 5000, "Exceeds the limit"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"value":1,"next":' * 5000, "nested too deeply|Expecting value"),
    ],
)
def test_hostile_payloads_are_value_errors(codec: JsonCodec, payload: bytes, message: str) -> None:
    """Bombs, broken text and numbers that are none end as one clear line."""
    with pytest.raises(ValueError, match=message):
        codec.decode(payload, Node)


@pytest.mark.fault(65)
def test_deep_records_are_refused(codec: JsonCodec) -> None:
    """What the parser takes may still be too deep for records."""
    payload = b'{"value":1,"next":' * 900 + b"null" + b"}" * 900

    with pytest.raises(ValueError, match=r"^\$: nested too deeply$"):
        codec.decode(payload, Node)


def _endless() -> list[object]:
    items: list[object] = []
    items.append(items)
    return items


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (object(), "object cannot be written as JSON"),
        ({"a": object()}, r"dict cannot be written as JSON: \$\.a: Object of type object"),
        (Item(float("nan")), r"Item cannot be written as JSON: \$\.price: Out of range"),
        (float("inf"), "float cannot be written as JSON"),
        pytest.param(10**5000, "int cannot be written as JSON", id="huge"),
        ("\ud800", "str cannot be written as JSON"),
        ({(1, 2): 3}, "dict cannot be written as JSON"),
        (Box("x", 5), r"Box cannot be written as JSON: \$\.others: 'int' object is not"),  # type: ignore[arg-type]
        ([{"a b": Order}], r"list cannot be written as JSON: \$\[0\]\[\"a b\"\]: Object of type type"),
        (Order(UserId(1), [Item(1), Item(float("inf"))], Circle("circle", 1)), r": \$\.items\[1\]\.price: "),
        (_endless(), r"list cannot be written as JSON: \$: it is nested too deeply"),
    ],
)
def test_what_json_cannot_carry_names_its_type_and_its_place(codec: JsonCodec, value: object, message: str) -> None:
    """Encoding fails with a ValueError, whatever the reason, and with the path that decoding has, too."""
    with pytest.raises(ValueError, match=message):
        codec.encode(value)


def test_text_that_looks_special_is_special_in_a_union(codec: JsonCodec) -> None:
    """An enumeration is open when text is allowed beside it."""
    assert Colour.RED is codec.decode(b'"red"', Colour | str)
    assert codec.decode(b'"green"', Colour | str) == "green"
    assert codec.decode(b'"eA=="', bytes | str) == "eA=="


def test_the_order_of_a_union_means_nothing(codec: JsonCodec) -> None:
    """Because Python does not tell the two apart."""
    assert int is type(codec.decode(b"5", float | int))
    assert int is type(codec.decode(b"5", int | float))


def test_records_without_tags_are_told_apart_by_their_fields(codec: JsonCodec) -> None:
    """Required fields decide, then how well the names fit."""
    assert Point(1) == codec.decode(b'{"x":1}', Item | Point)
    assert Item(1.0) == codec.decode(b'{"price":1}', Item | Point)
    assert codec.decode(b'{"street":"x"}', Item | Address) == {"street": "x"}


def test_core_contributes_json_through_its_entry_point(codec: JsonCodec) -> None:
    """The same door as for every other extension."""
    (entry,) = importlib.metadata.entry_points(group="remora", name="core")

    (spec,) = entry.load().remora_register_codecs()

    assert entry.load() is remora.plugin
    assert (spec.name, spec.content_types) == ("json", ("application/json",))
    assert codec.content_type == spec.build().content_type


def test_unknown_keys_can_be_errors_that_suggest_a_known_one() -> None:
    """As the configuration wants it: all problems, paths without a root, known keys."""
    converter = make_converter(forbid_extra_keys=True)

    with pytest.raises(BaseValidationError) as caught:
        converter.structure({"item": {"prise": 1}, "other": {"price": 1, "zzz": 2}}, dict[str, Item])

    assert describe_errors(caught.value, root="") == [
        "item.price: missing",
        'item.prise: unknown key; did you mean "price"?',
        "other.zzz: unknown key; known are price, name",
    ]


def test_unknown_keys_of_every_kind_of_record_can_be_errors() -> None:
    """TypedDicts and NamedTuples are as strict as classes."""
    converter = make_converter(forbid_extra_keys=True)
    wrong: list[tuple[Any, dict[str, object]]] = [(Address, {"street": "x", "stret": "y"}), (Point, {"x": 1, "z": 2})]

    for type_, value in wrong:
        with pytest.raises(BaseValidationError) as caught:
            converter.structure(value, type_)
        assert "unknown key" in describe_errors(caught.value)[-1]


@pytest.mark.fault(65)
@pytest.mark.parametrize(("type_", "wrap"), [(list, list), (tuple, list), (dict, lambda items: dict(enumerate(items)))])
def test_wrong_items_without_end_are_not_all_looked_at(type_: Any, wrap: Callable[[list[object]], object]) -> None:
    """
    What takes no time to send must not take minutes to refuse.
    """
    asked: list[int] = []

    @dataclass
    class Odd:
        number: int

        def __post_init__(self) -> None:
            asked.append(self.number)
            raise ValueError("no number is odd enough")

    wanted = {list: list[Odd], tuple: tuple[Odd, ...], dict: dict[int, Odd]}[type_]
    with pytest.raises(ValueError, match="odd enough") as caught:
        JsonCodec().decode(json.dumps(wrap([{"number": each} for each in range(1000)])).encode(), wanted)

    assert 5 == str(caught.value).count("odd enough")
    assert len(asked) < 20
