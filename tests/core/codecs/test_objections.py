"""
Types whose values would not come out of a call as what they were.
"""

from __future__ import annotations

import typing
from dataclasses import InitVar, dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, StrEnum
from fractions import Fraction
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import pytest

from remora import ConfigError, Manager, serving
from remora._structure import objection_to
from remora.testing import MemoryTransport


@dataclass
class Celsius:
    """
    One of two records with the same fields.
    """

    value: float


@dataclass
class Fahrenheit:
    """
    The other one.
    """

    value: float


@dataclass
class Name:
    """
    The same field, as text.
    """

    value: str


@dataclass
class Cat:
    """
    A record with a tag.
    """

    kind: Literal["cat"] = "cat"


@dataclass
class Dog:
    """
    Another one.
    """

    kind: Literal["dog"] = "dog"


@dataclass
class Tree:
    """
    A record that contains itself, and a doubt.
    """

    below: list[Tree]
    reading: Celsius | Fahrenheit | None = None


@dataclass
class Grown:
    """
    A record with one field more than `Celsius`.
    """

    value: float
    more: int = 0


class Word(Enum):
    """
    An enumeration of text.
    """

    A = "a"


class OpenWord(StrEnum):
    """
    One whose members are text.
    """

    A = "a"


class Number(Enum):
    """
    An enumeration of numbers.
    """

    ONE = 1


@pytest.mark.parametrize(
    ("type_", "names"),
    [
        (Celsius | Fahrenheit, "Celsius | Fahrenheit"),
        (str | bytes, "str | bytes"),
        (str | datetime, "str | datetime"),
        (Decimal | date, "Decimal | date"),
        (UUID | str | None, "UUID | str"),
        (Path | str, "Path | str"),
        (Word | str, "Word | str"),
        (Word | bytes, "Word | bytes"),
        (Number | int, "Number | int"),
        (timedelta | float, "timedelta | float"),
        (dict[str, list[str | bytes]], "str | bytes"),
        (Tree, "Celsius | Fahrenheit"),
    ],
)
def test_a_union_that_cannot_be_told_apart_names_its_members(type_: Any, names: str) -> None:
    """The two that are read as one another."""
    assert f"{names} cannot be told apart" in objection_to(type_)


@pytest.mark.parametrize(
    "type_",
    [
        int | float,
        int | str | None,
        Decimal | float,
        date | datetime | time | UUID,
        Literal["auto"] | str,
        OpenWord | str,
        Word | int,
        Word | Number,
        Celsius | Name,
        Celsius | Grown,
        Cat | Dog,
        Cat | Celsius | str,
        list[int] | str,
        bool | str,
        tuple[int, ...],
        Any,
        object,
        None,
    ],
)
def test_what_can_be_told_apart_is_not_refused(type_: Any) -> None:
    """By its kind in JSON, by a tag, by the names or the kinds of fields."""
    assert objection_to(type_) == ""


@dataclass
class Scaled:
    """
    A record whose constructor needs more than its fields.
    """

    value: float
    scale: InitVar[float]


@dataclass(init=False)
class Measured:
    """
    Another one.
    """

    value: float

    def __init__(self, text: str) -> None:
        self.value = float(text)


@dataclass
class Rounded:
    """
    One that can be made from its fields alone.
    """

    value: float
    digits: InitVar[int] = 2
    shown: str = field(init=False, default="")

    def __post_init__(self, digits: int) -> None:
        self.shown = f"{self.value:.{digits}f}"


@pytest.mark.parametrize(("type_", "lacking"), [(Scaled, "scale"), (list[Measured], "text"), (Rounded, "")])
def test_a_record_that_cannot_be_made_from_its_fields_is_named(type_: Any, lacking: str) -> None:
    """
    With what its constructor needs besides.
    """
    found = objection_to(type_)

    assert bool(lacking) == bool(found)
    assert not lacking or found.endswith(f"its constructor needs {lacking!r}, which is no field")


@pytest.mark.parametrize("type_", [Fraction, IPv4Address, list[Fraction], typing.Callable[[], int], complex])
def test_a_type_that_nothing_carries_is_named(type_: Any) -> None:
    """Before any caller is blamed for it."""
    assert "is no type that can be sent" in objection_to(type_)


class Readings:
    """
    A service with a doubtful request and an impossible reply.
    """

    async def read(self, request: Celsius | Fahrenheit) -> str:
        """
        Refused.
        """
        return str(request)


class Parts:
    """
    A service of which no host could read the reply.
    """

    async def half(self, request: int) -> Fraction:
        """
        Refused.
        """
        return Fraction(request, 2)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("service", "message"),
    [
        (Readings, r"Readings/read: Celsius \| Fahrenheit cannot be told apart"),
        (Parts, "Parts/half: Fraction is no type that can be sent"),
    ],
)
async def test_a_service_with_such_a_method_is_not_served(service: type, message: str) -> None:
    """One error, at the start, that names method and type."""
    memory = MemoryTransport()

    with pytest.raises(ConfigError, match=message):
        async with serving(service(), listen="memory:s", extensions=[memory.extension]):
            raise AssertionError("it is served")


@pytest.mark.anyio
async def test_a_client_with_such_a_method_is_not_made() -> None:
    """The host is told when it asks for the client, not when it calls."""
    memory = MemoryTransport()
    config: Any = {"plugins": {"s": {"endpoint": "memory:s", "start": "lazy"}}}

    async with Manager(config, extensions=[memory.extension]) as manager:
        with pytest.raises(ConfigError, match=r"Readings/read: Celsius \| Fahrenheit cannot be told apart"):
            manager.client("s", Readings)
        with pytest.raises(ConfigError, match="Fraction is no type that can be sent"):
            manager.plugin("s", Fraction, int, method="half")
