"""
JSON Schema of record types: true for everything that the JSON codec writes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, NamedTuple, TypedDict, TypeVar

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

from remora._schema import json_schema
from remora.codecs import JsonCodec
from remora.config import ManagerConfig
from remora.types import PluginInfo

T = TypeVar("T")


class Colour(StrEnum):
    """
    What it looks like.
    """

    RED = "red"
    BLUE = "blue"


@attrs.frozen
class Item:
    """
    Something with a price
    and a name.

    Only the first paragraph describes it.
    """

    price: float
    name: str = "thing"
    tags: list[str] = attrs.Factory(list)
    size: int = attrs.Factory(lambda self: len(self.name), takes_self=True)


@dataclass
class Node:
    value: int
    colour: Colour | None = None
    item: Item = field(default_factory=lambda: Item(1.0))
    children: list[Node] = field(default_factory=list)


class Pair(NamedTuple):
    left: int
    right: int = 2


class Options(TypedDict, total=False):
    depth: int


@dataclass
class Box(Generic[T]):
    value: T


@given(data=st.data())
def test_encoded_values_satisfy_the_schema_of_their_type(
    typed_values: st.SearchStrategy[tuple[Any, Any]], data: st.DataObject
) -> None:
    """Schema and codec say the same about every type."""
    type_, value = data.draw(typed_values)

    schema = json_schema(type_)

    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(json.loads(JsonCodec().encode(value)))


def test_a_record_is_described_with_fields_and_defaults() -> None:
    """Only defaults that are the same every time are told."""
    assert json_schema(Item) == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "description": "Something with a price and a name.",
        "properties": {
            "price": {"type": "number"},
            "name": {"type": "string", "default": "thing"},
            "tags": {"type": "array", "items": {"type": "string"}, "default": []},
            "size": {"type": "integer"},
        },
        "required": ["price"],
    }


def test_a_record_that_contains_itself_is_a_definition() -> None:
    """References close the circle."""
    schema = json_schema(Node)

    assert schema["$ref"] == "#/$defs/Node"
    Draft202012Validator(schema).validate({"value": 1, "children": [{"value": 2}], "colour": "red"})
    with pytest.raises(ValidationError, match="is not of type 'integer'"):
        Draft202012Validator(schema).validate({"value": 1, "children": [{"value": "2"}]})


def test_generated_docstrings_are_no_descriptions() -> None:
    """The signature that Python writes into a class says nothing to a reader."""
    assert "description" not in json.dumps([json_schema(Pair), json_schema(Box[int]), json_schema(Options)])


def test_enumerations_are_described() -> None:
    """With their values."""
    assert {key: value for key, value in json_schema(Colour).items() if key != "$schema"} == {
        "enum": ["red", "blue"],
        "description": "What it looks like.",
    }


def test_closed_schemas_refuse_unknown_keys() -> None:
    """As the configuration does."""
    Draft202012Validator(json_schema(Item)).validate({"price": 1, "prise": 2})
    with pytest.raises(ValidationError, match="prise"):
        Draft202012Validator(json_schema(Item, closed=True)).validate({"price": 1, "prise": 2})


def test_equal_names_get_definitions_of_their_own() -> None:
    """Two records may be called the same."""
    other = attrs.make_class("Item", {"x": attrs.field(type=int)})

    definitions: Any = json_schema(tuple[Item, other])["$defs"]

    assert list(definitions) == ["Item", "Item_2"]


def test_type_arguments_are_filled_in() -> None:
    """A generic record has one definition for each use."""
    definitions: Any = json_schema(tuple[Box[int], Box[str]])["$defs"]

    assert definitions["Box_int"]["properties"]["value"] == {"type": "integer"}
    assert definitions["Box_str"]["properties"]["value"] == {"type": "string"}


@pytest.mark.parametrize("type_", [object, Any, T, pytest.MonkeyPatch])
def test_what_is_unknown_may_be_anything(type_: Any) -> None:
    """A description of a plugin must not fail for one strange field."""
    assert list(json_schema(type_)) == ["$schema"]


@pytest.mark.parametrize("type_", [PluginInfo, ManagerConfig, Mapping[str, PluginInfo]])
def test_the_records_of_remora_have_schemas(type_: Any) -> None:
    """They are records like all others."""
    Draft202012Validator.check_schema(json_schema(type_, closed=True))
