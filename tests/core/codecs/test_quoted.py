"""
Records whose annotations are quoted inside others, as in `list["Tree"]`. Nothing in this module postpones annotations.
"""

import json
from dataclasses import dataclass, field
from typing import Any, Generic, NamedTuple, Optional, TypedDict, TypeVar

import attrs
import pytest

from remora.codecs import JsonCodec, RecordConverter

T = TypeVar("T")


@dataclass
class Tree:
    value: int
    children: list["Tree"] = field(default_factory=list)


@attrs.frozen
class Branch:
    value: int
    children: tuple["Branch", ...] = ()


@dataclass
class Chain:
    value: int
    rest: Optional["Chain"] = None
    leaves: dict[str, "Leaf"] = field(default_factory=dict)


@dataclass
class Leaf:
    data: bytes = b"x"


@dataclass
class Box(Generic[T]):
    value: T
    boxes: list["Box[T]"] = field(default_factory=list)


class Pair(NamedTuple):
    first: int
    rest: Optional["Chain"] = None


class Page(TypedDict):
    trees: list["Tree"]


@pytest.mark.parametrize(
    ("value", "type_", "text"),
    [
        (Tree(1, [Tree(2)]), Tree, '{"value":1,"children":[{"value":2,"children":[]}]}'),
        (Branch(1, (Branch(2),)), Branch, '{"value":1,"children":[{"value":2,"children":[]}]}'),
        (
            Chain(1, Chain(2), {"a": Leaf()}),
            Chain,
            '{"value":1,"rest":{"value":2,"rest":null,"leaves":{}},"leaves":{"a":{"data":"eA=="}}}',
        ),
        (Box(1, [Box(2)]), Box[int], '{"value":1,"boxes":[{"value":2,"boxes":[]}]}'),
        (Pair(1, Chain(2)), Pair, '{"first":1,"rest":{"value":2,"rest":null,"leaves":{}}}'),
        ({"trees": [Tree(1)]}, Page, '{"trees":[{"value":1,"children":[]}]}'),
    ],
)
def test_quoted_types_travel(value: object, type_: Any, text: str) -> None:
    """
    As they do where all annotations are postponed, in JSON and in the plain values that other formats are made from.
    """
    codec, converter = JsonCodec(), RecordConverter("anything")

    assert text == codec.encode(value).decode()
    assert value == codec.decode(text.encode(), type_)
    assert json.loads(text) == converter.unstructure(value)
    assert value == converter.structure(json.loads(text), type_)


@dataclass
class Unknown:
    others: list["Nowhere"] = field(default_factory=list)  # type: ignore[name-defined]  # noqa: F821 # pyright: ignore


def test_what_is_quoted_and_cannot_be_found_is_no_hindrance_to_writing() -> None:
    """
    Its value is there, and says what it is.
    """
    assert b'{"others":[1]}' == JsonCodec().encode(Unknown([1]))
