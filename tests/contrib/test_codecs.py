"""
MessagePack and protobuf payloads, and the door through which they come in.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypedDict
from uuid import UUID

import attrs
import msgpack
import pytest
from google.protobuf.descriptor_pb2 import UninterpretedOption
from google.protobuf.struct_pb2 import Struct
from google.protobuf.wrappers_pb2 import Int32Value, StringValue
from hypothesis import given
from hypothesis import strategies as st

import remora_codecs.plugin
from remora import CodecSpec, ConfigError, Manager, serving
from remora.codecs import JsonCodec
from remora.protocols import Codec
from remora.testing import MemoryTransport


@dataclass(frozen=True)
class Circle:
    kind: Literal["circle"]
    radius: float


class Address(TypedDict):
    street: str


class Point(NamedTuple):
    x: int
    y: int = 0


@attrs.frozen
class Order:
    number: int
    data: bytes
    when: datetime
    price: Decimal
    id: UUID
    shape: Circle | Address | None
    points: dict[int, Point]
    anything: object
    choice: bytes | str | int


_offsets = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_orders = st.builds(
    Order,
    number=st.integers(-(2**63), 2**64 - 1),
    data=st.binary(),
    when=st.datetimes(timezones=st.none() | _offsets),
    price=st.decimals(allow_nan=False),
    id=st.uuids(),
    shape=st.none() | st.builds(Circle, st.just("circle"), st.floats(allow_nan=False)) | st.just({"street": "Main"}),
    points=st.dictionaries(st.integers(-1000, 1000), st.builds(Point, st.integers(0, 9), st.integers(0, 9))),
    anything=st.none() | st.binary() | st.lists(st.integers(0, 9)) | st.dictionaries(st.text(), st.booleans()),
    choice=st.binary() | st.text() | st.integers(0, 9),
)


def specs() -> dict[str, CodecSpec]:
    return {spec.name: spec for spec in remora_codecs.plugin.remora_register_codecs()}


@pytest.fixture(scope="module")
def packer() -> Codec:
    return specs()["msgpack"].build()


@pytest.fixture(scope="module")
def protobuf() -> Codec:
    return specs()["protobuf"].build()


@given(order=_orders)
def test_records_travel_as_messagepack(packer: Codec, order: Order) -> None:
    """Bytes stay bytes, also where a field may hold anything."""
    assert order == packer.decode(packer.encode(order), Order)


@given(payload=st.binary(max_size=60), type_=st.sampled_from([Order, list[Point], dict[str, Circle]]))
def test_garbage_is_a_value_error_or_a_record(packer: Codec, payload: bytes, type_: Any) -> None:
    """No bytes make the codec fail in any other way."""
    with contextlib.suppress(ValueError):
        packer.decode(payload, type_)


@pytest.mark.parametrize(
    ("value", "type_", "message"),
    [
        ({"x": "1"}, Point, '$.x: expected int, got "1"'),
        ({}, Point, "$.x: missing"),
        (["a", 5], list[bytes], '$[0]: expected bytes, got "a"; $[1]: expected bytes, got 5'),
        ({"kind": "circle", "radius": None}, Circle, "$.radius: expected float, got null"),
    ],
)
def test_a_wrong_reply_names_the_field_in_the_words_of_json(
    packer: Codec, value: object, type_: Any, message: str
) -> None:
    """One strictness for all formats."""
    with pytest.raises(ValueError, match=r"^\$") as caught:
        packer.decode(msgpack.packb(value), type_)

    assert message == str(caught.value)


@pytest.mark.parametrize(
    "payload",
    [
        b"\x91" * 5000 + b"\xc0",
        b"\x93\x01",
        b"\xc1",
        b"\x01\x02",
        b"\xa1\xff",
        b"\xdd\xff\xff\xff\xff",
        b"\x81\x91\x01\x02",
        b"\xc7\x0c\xff\x00\x00\x00\x00\x7f" + b"\xff" * 7,
    ],
)
def test_broken_messagepack_is_a_value_error(packer: Codec, payload: bytes) -> None:
    """Bombs, lies about sizes, unhashable keys, impossible timestamps."""
    with pytest.raises(ValueError, match="not MessagePack"):
        packer.decode(payload, object)


def test_timestamps_of_other_writers_are_datetimes(packer: Codec) -> None:
    """MessagePack has a timestamp of its own, which Remora reads and does not write."""
    moment = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)

    assert moment == packer.decode(msgpack.packb(moment, datetime=True), datetime)
    assert moment.isoformat() == msgpack.unpackb(packer.encode(moment))


@pytest.mark.parametrize(("value", "path"), [(2**70, "$"), (object(), "$"), ({"a": [object()]}, "$.a[0]")])
def test_what_messagepack_cannot_carry_names_its_type_and_its_place(packer: Codec, value: object, path: str) -> None:
    """Encoding fails with a ValueError, whatever the reason."""
    message = f"{type(value).__name__} cannot be written as MessagePack: {path}: "

    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        packer.encode(value)


def test_an_empty_messagepack_payload_is_nil(packer: Codec) -> None:
    """A method that returns nothing needs no payload."""
    assert packer.decode(b"", type(None)) is None


@given(text=st.text(), number=st.floats(allow_nan=False))
def test_messages_travel_as_protobuf(protobuf: Codec, text: str, number: float) -> None:
    """As their classes write themselves."""
    struct = Struct()
    struct.update({"text": text, "number": number, "list": [text, {"inner": None}]})

    assert StringValue(value=text) == protobuf.decode(protobuf.encode(StringValue(value=text)), StringValue)
    assert struct == protobuf.decode(protobuf.encode(struct), Struct)
    assert struct.SerializeToString(deterministic=True) == Struct.FromString(protobuf.encode(struct)).SerializeToString(
        deterministic=True
    )


@pytest.mark.parametrize("payload", [b"\xff", b"\x0a\x05a", b"\x0a\x01\xff"])
def test_broken_protobuf_names_the_message(protobuf: Codec, payload: bytes) -> None:
    """Cut off, corrupt, not UTF-8."""
    with pytest.raises(ValueError, match=r"not a protobuf google\.protobuf\.StringValue"):
        protobuf.decode(payload, StringValue)


def test_only_messages_are_protobuf(protobuf: Codec) -> None:
    """Other records are refused in both directions."""
    with pytest.raises(ValueError, match="Point cannot be written as protobuf"):
        protobuf.encode(Point(1))
    with pytest.raises(ValueError, match="Point cannot be read from protobuf"):
        protobuf.decode(b"", Point)
    with pytest.raises(ValueError, match="cannot be read from protobuf"):
        protobuf.decode(b"", StringValue | None)  # type: ignore[arg-type]


def test_a_message_without_a_required_field_is_refused(protobuf: Codec) -> None:
    """The error names the field."""
    with pytest.raises(ValueError, match="NamePart cannot be written as protobuf: .*is_extension"):
        protobuf.encode(UninterpretedOption.NamePart(name_part="a"))


@pytest.mark.parametrize(("type_", "claimed"), [(StringValue, True), (Int32Value, True), (Point, False), (None, False)])
def test_messages_choose_protobuf_by_themselves(type_: object, claimed: bool) -> None:
    """Their types are claimed, and no others."""
    claims = specs()["protobuf"].claims

    assert claims is not None
    assert claimed is claims(type_)


class Strings:
    """
    A service of which one method has a message on one side only.
    """

    async def put(self, request: StringValue) -> None:
        """
        Refused.
        """

    async def upper(self, request: StringValue) -> StringValue:
        """
        Answered.
        """
        return StringValue(value=request.value.upper())


async def _serve(*names: str) -> str:
    memory = MemoryTransport()
    service = type("Strings", (), {name: getattr(Strings, name) for name in names})
    async with (
        serving(service(), listen="memory:s", extensions=[memory.extension]),
        Manager({"plugins": {"s": {"endpoint": "memory:s"}}}, extensions=[memory.extension]) as manager,
    ):
        strings = manager.plugin("s", StringValue, StringValue, service="Strings", method="upper")
        return (await strings.execute(StringValue(value="a"))).value


@pytest.mark.parametrize("codec", [JsonCodec(), remora_codecs.plugin.build_msgpack()], ids=["json", "msgpack"])
def test_what_is_no_message_where_one_is_expected_is_told_so(codec: Codec) -> None:
    """As from a person who calls a plugin with `curl` or `remora call`."""
    why = r"\$: expected the Protocol Buffers message StringValue \(application/proto\)"

    with pytest.raises(ValueError, match=why):
        codec.decode(codec.encode({"value": "a"}), StringValue)


@pytest.mark.anyio
async def test_a_method_with_one_message_is_told_that_it_needs_two() -> None:
    """And not that messages cannot be sent at all."""
    why = (
        "Strings/put: StringValue is a Protocol Buffers message: such can be sent where request and reply both are one"
    )

    assert "A" == await _serve("upper")
    with pytest.raises(ConfigError, match=re.escape(why)):
        await _serve("upper", "put")


def test_the_entry_point_names_the_plugin_module() -> None:
    """No typo in the name."""
    (entry,) = importlib.metadata.entry_points(group="remora", name="codecs")

    assert entry.load() is remora_codecs.plugin
    assert {"msgpack", "protobuf"} == specs().keys()


def test_every_codec_writes_the_first_of_its_media_types() -> None:
    """The rule of CodecSpec."""
    assert all(spec.build().content_type == spec.content_types[0] for spec in specs().values())
    assert JsonCodec().content_type not in {name for spec in specs().values() for name in spec.content_types}


def test_the_plugin_module_imports_nothing_heavy() -> None:
    """Who does not use the formats does not pay for them."""
    program = "import sys, remora_codecs.plugin; sys.exit(bool({'msgpack', 'google.protobuf'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", program], timeout=30, check=False).returncode == 0
