"""
What breaks callers, and what does not.
"""

from __future__ import annotations

from dataclasses import dataclass, field, make_dataclass
from typing import Any, Literal

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora import ConfigError, idempotent, service
from remora._schema import json_schema
from remora.codecs import JsonCodec
from remora.schema import Change, compare, describe, load_description
from remora.schema._fit import misfits

_SCALARS: list[tuple[dict[str, Any], st.SearchStrategy[Any]]] = [
    ({"type": "string"}, st.text(max_size=3)),
    ({"type": "integer"}, st.integers(-3, 3)),
    ({"type": "number"}, st.floats(-3, 3)),
    ({"type": "boolean"}, st.booleans()),
    ({"type": "null"}, st.none()),
    ({}, st.one_of(st.text(max_size=2), st.integers(0, 2), st.none(), st.booleans())),
]
Typed = tuple[dict[str, Any], st.SearchStrategy[Any]]


def _enumeration(values: list[Any]) -> Typed:
    return {"enum": values}, st.sampled_from(values)


def _record(parts: dict[str, tuple[Typed, bool]]) -> Typed:
    required = [name for name, (_, is_required) in parts.items() if is_required]
    schema = {"type": "object", "properties": {name: typed[0] for name, (typed, _) in parts.items()}}
    optional = {name: typed[1] for name, (typed, _) in parts.items() if name not in required}
    values = st.fixed_dictionaries({name: parts[name][0][1] for name in required}, optional=optional)
    return {**schema, **({"required": required} if required else {})}, values


def _wider(inner: st.SearchStrategy[Typed]) -> st.SearchStrategy[Typed]:
    array = inner.map(lambda each: ({"type": "array", "items": each[0]}, st.lists(each[1], max_size=2)))
    mapping = inner.map(
        lambda each: (
            {"type": "object", "additionalProperties": each[0]},
            st.dictionaries(st.sampled_from("ab"), each[1]),
        )
    )
    pair = st.tuples(inner, inner).map(
        lambda two: (
            {"type": "array", "prefixItems": [each[0] for each in two], "minItems": 2, "maxItems": 2},
            st.tuples(*(each[1] for each in two)).map(list),
        )
    )
    union = st.lists(inner, min_size=1, max_size=3).map(
        lambda many: ({"anyOf": [each[0] for each in many]}, st.one_of([each[1] for each in many]))
    )
    record = st.dictionaries(st.sampled_from("abc"), st.tuples(inner, st.booleans()), max_size=3).map(_record)
    return st.one_of(array, mapping, pair, union, record, record)


_VALUES = st.lists(st.sampled_from(["a", "b", 1, 2, True, None]), min_size=1, max_size=3, unique_by=repr)
TYPED = st.recursive(st.one_of(st.sampled_from(_SCALARS), _VALUES.map(_enumeration)), _wider, max_leaves=6)


@given(TYPED)
def test_a_schema_fits_itself(typed: Typed) -> None:
    """
    Also where it is not the same object.
    """
    assert {} == misfits(typed[0], {**typed[0], "description": "the same"})


@given(TYPED, TYPED, st.data())
def test_what_fits_is_read(sent: Typed, read: Typed, data: st.DataObject) -> None:
    """
    No value that may be sent is refused by a reader that is said to fit; an independent validator is asked.
    """
    if not misfits(sent[0], read[0]):
        jsonschema.validate(data.draw(sent[1]), read[0])


@given(st.lists(TYPED, min_size=1, max_size=3), TYPED, st.data())
def test_one_more_alternative_fits_on_the_reading_side_only(
    members: list[Typed], more: Typed, data: st.DataObject
) -> None:
    """
    The wider one takes all of the narrower one, and is refused where a value of it does not fit.
    """
    narrow = {"anyOf": [each[0] for each in members]}
    wide = {"anyOf": [*narrow["anyOf"], more[0]]}
    value = data.draw(more[1])

    assert {} == misfits(narrow, wide)
    assert misfits(wide, narrow) or jsonschema.Draft202012Validator(narrow).is_valid(value)


def _changes(old: type, new: type, *, part: str = "request") -> list[tuple[str, bool]]:
    """
    The changes between two record types of a method, each with whether it breaks.
    """
    one, two = _service(old, part), _service(new, part)
    return [(change.where.partition(part)[2], change.is_breaking) for change in compare(describe(one), describe(two))]


def _service(record: Any, part: str) -> type:
    async def call(self: object, request: Any) -> Any: ...

    call.__annotations__ = (
        {"request": record, "return": None} if part == "request" else {"request": None, "return": record}
    )
    return service("s")(type("S", (), {"call": call}))


def _of(type_: Any, **default: Any) -> Any:
    extra = [field(**default)] if default else []
    return make_dataclass("R", [("a", type_, *extra)])


@dataclass
class Empty:
    """
    Nothing.
    """


@dataclass
class Node:
    """
    Contains itself.
    """

    a: int
    next: Node | None = None


@dataclass
class WiderNode:
    """
    The same, with more of it.
    """

    a: float
    next: WiderNode | None = None


@pytest.mark.parametrize(
    ("old", "new", "breaks_requests", "breaks_replies"),
    [
        (_of(int), _of(float), False, True),
        (_of(float), _of(int), True, False),
        (_of(str), _of(int), True, True),
        (_of(str), _of(str | None), False, True),
        (_of(Literal["a"]), _of(Literal["a", "b"]), False, True),
        (_of(list[int]), _of(list[float]), False, True),
        (_of(list[int]), _of(set[int]), True, False),
        (_of(dict[str, int]), _of(dict[str, str]), True, True),
        (_of(str), _of(bytes), True, True),
        (_of(str), _of(object), False, True),
        (_of(str), _of(str, default="x"), False, True),
        (_of(str, default="x"), _of(str), True, False),
        (_of(tuple[int, int]), _of(tuple[int, int, int]), True, True),
        (Empty, _of(int), True, False),
        (Empty, _of(int, default=1), False, False),
        (_of(int, default=1), Empty, True, True),
        (Node, WiderNode, False, True),
        (_of(list[Node]), _of(list[WiderNode]), False, True),
    ],
)
def test_requests_may_take_more_and_replies_give_less(
    old: type, new: type, breaks_requests: bool, breaks_replies: bool
) -> None:
    """
    Never the other way round; and a field that was there stays.
    """
    assert breaks_requests is any(breaks for _, breaks in _changes(old, new))
    assert breaks_replies is any(breaks for _, breaks in _changes(old, new, part="reply"))
    assert [] == _changes(new, new)


@service("n")
class Old:
    """
    Before.
    """

    @idempotent
    async def find(self, title: str) -> str:
        """
        Find.
        """

    async def add(self, title: str, text: str = "") -> None:
        """
        Add.
        """


@service("n")
class New:
    """
    After.
    """

    async def find(self, title: str) -> str | None:
        """
        Find.
        """

    async def drop(self, title: str) -> None:
        """
        Drop.
        """


def test_changes_say_where_and_why() -> None:
    """
    Those that break come first.
    """
    assert [
        Change("n/add", "the method is removed", True),
        Change("n/find", "it is no longer idempotent, and callers may still repeat it", True),
        Change("n/find reply", "null does not fit string", True),
        Change("n/drop", "the method is new", False),
    ] == compare(describe(Old), describe(New))


def test_a_description_survives_its_file() -> None:
    """
    As the command line writes and reads it.
    """
    described = describe(Old())

    assert described == load_description(JsonCodec().encode(described))
    with pytest.raises(ConfigError, match=r"not a description of a plugin as .* prints it: \$\.name"):
        load_description(b'{"methods": []}')
    with pytest.raises(ConfigError, match="no public methods"):
        describe(Empty)


def test_a_recursive_record_is_compared_once() -> None:
    """
    And its fields are named once.
    """
    fields = misfits(json_schema(WiderNode), json_schema(Node))

    assert {".a"} == set(fields)
