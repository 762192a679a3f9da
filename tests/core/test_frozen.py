"""
Records that are made quickly, beside the same ones made by `dataclasses`.
"""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from dataclasses import FrozenInstanceError, field
from typing import Any

import pytest

from remora import _frozen
from remora.types import Endpoint


def _place(dataclass: Any) -> Any:
    @dataclass(frozen=True, slots=True)
    class Place:
        """
        Where something is.
        """

        name: str
        labels: tuple[str, ...] = ()
        inside: object = None
        known: dict[str, str] = field(default_factory=dict, compare=False, repr=False)

    return Place


def _size(dataclass: Any) -> Any:
    @dataclass(frozen=True, slots=True, kw_only=True)
    class Size:
        """
        How large something is.
        """

        least: int = 0
        most: int = 9

        def __post_init__(self) -> None:
            if self.least > self.most:
                raise ValueError("least is more than most")

        def __repr__(self) -> str:
            return f"{self.least} to {self.most}"

    return Size


QUICK, TRUE = ({"place": _place(each), "size": _size(each)} for each in (_frozen.dataclass, dataclasses.dataclass))


@pytest.mark.parametrize(
    ("kind", "args", "words"),
    [("place", ("here",), {}), ("place", ("there", ("a", "b")), {"inside": [1]}), ("size", (), {"least": 3})],
)
def test_quick_record_is_what_dataclasses_would_have_made(kind: str, args: tuple[Any, ...], words: Any) -> None:
    """
    It is shown, taken apart, copied and called alike, and has no more room than its fields.
    """
    quick, true = QUICK[kind](*args, **words), TRUE[kind](*args, **words)

    assert repr(true).rpartition(".")[2] == repr(quick).rpartition(".")[2]
    assert dataclasses.astuple(true) == dataclasses.astuple(quick)
    assert inspect.signature(type(true)) == inspect.signature(type(quick))
    assert type(true).__match_args__ == type(quick).__match_args__
    assert type(true).__slots__ == type(quick).__slots__
    assert type(true).__doc__ == type(quick).__doc__
    for same in (copy.copy(quick), copy.deepcopy(quick), dataclasses.replace(quick), type(quick)(*args, **words)):
        assert quick == same
        assert same is not quick


def test_quick_records_are_equal_when_their_compared_fields_are() -> None:
    """
    Of the same class; equal ones have equal hashes, and one that holds a list has none.
    """
    one, other = QUICK["place"]("here", ("a",), known={"x": "y"}), QUICK["place"]("here", ("a",))

    assert one == other
    assert hash(one) == hash(other) == hash(TRUE["place"]("here", ("a",)))
    assert one != QUICK["place"]("there", ("a",))
    assert one != TRUE["place"]("here", ("a",))
    with pytest.raises(TypeError, match="unhashable"):
        hash(QUICK["place"]("here", inside=[]))


def test_quick_record_cannot_be_changed_nor_built_wrong() -> None:
    """
    Neither a field nor anything else can be set or taken away, and `__post_init__` has its say.
    """
    place = QUICK["place"]("here")

    with pytest.raises(FrozenInstanceError, match="cannot assign to field 'name'"):
        place.name = "there"
    with pytest.raises(FrozenInstanceError, match="cannot delete field 'name'"):
        del place.name
    with pytest.raises(AttributeError):
        place.other = 1
    with pytest.raises(ValueError, match="least is more than most"):
        QUICK["size"](least=10)
    assert place.name == "here"


def test_quick_record_can_be_a_base_of_a_frozen_dataclass() -> None:
    """
    As an application may do with a record that is public.
    """

    @dataclasses.dataclass(frozen=True)
    class Named(Endpoint):
        name: str = ""

    named = Named("unix:///run/a.sock", name="a")

    assert ("unix:///run/a.sock", 100, "a") == (named.url, named.weight, named.name)
    with pytest.raises(FrozenInstanceError):
        named.name = "b"  # type: ignore[misc]


def test_quick_record_can_be_derived_from_another() -> None:
    """
    It has the fields of both, and both stay as frozen as they were.
    """
    base = QUICK["size"]

    @_frozen.dataclass(frozen=True, slots=True, kw_only=True)
    class Room(base):  # type: ignore[misc,valid-type]
        name: str

    room = Room(least=1, name="a")

    assert {"least": 1, "most": 9, "name": "a"} == dataclasses.asdict(room)
    assert room == dataclasses.replace(room)
    assert room != Room(least=1, name="b")
    for record, field_ in ((room, "name"), (room, "least"), (base(), "least")):
        with pytest.raises(FrozenInstanceError, match=f"cannot assign to field '{field_}'"):
            setattr(record, field_, 2)


def test_quick_record_may_be_equal_to_itself_only() -> None:
    """
    As one that stands for something that is open.
    """

    @_frozen.dataclass(frozen=True, slots=True, eq=False)
    class Handle:
        number: int

    one = Handle(1)

    assert one == one
    assert one != Handle(1)
    assert len({one, Handle(1)}) == 2


def test_public_record_is_pickled_and_shown() -> None:
    """
    As every dataclass.
    """
    endpoint = Endpoint("http://127.0.0.1:8000", weight=3)

    assert endpoint == pickle.loads(pickle.dumps(endpoint))
    assert repr(endpoint) == "Endpoint(url='http://127.0.0.1:8000', weight=3, priority=1, labels={})"


@pytest.mark.parametrize("args", [{"frozen": False, "slots": True}, {"frozen": True, "slots": False}])
def test_a_record_of_another_kind_is_refused(args: dict[str, bool]) -> None:
    """
    It would be made, but frozen and with slots all the same.
    """
    with pytest.raises(TypeError, match="for frozen=True and slots=True only"):
        _frozen.dataclass(**args)
