"""
Varints and fields of protobuf, at the sizes at which their encoding changes.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from remora.wire._protobuf import (
    Field,
    decode_bytes,
    decode_double,
    decode_signed,
    decode_text,
    decode_varint,
    encode_bytes,
    encode_double,
    encode_integer,
    encode_message,
    encode_varint,
    fields,
)

HIGHEST = (1 << 64) - 1


@pytest.mark.parametrize(
    ("number", "encoded"),
    [
        (0, "00"),
        (0x7F, "7f"),
        (0x80, "80 01"),
        (0x3FFF, "ff 7f"),
        (0x4000, "80 80 01"),
        (0x1FFFFF, "ff ff 7f"),
        (0x200000, "80 80 80 01"),
        (HIGHEST, "ff ff ff ff ff ff ff ff ff 01"),
    ],
)
def test_each_seven_bits_of_a_number_take_a_byte(number: int, encoded: str) -> None:
    """
    The highest number takes ten; what stands before and behind them is not read.
    """
    varint = bytes.fromhex(encoded)

    assert varint == encode_varint(number)
    for rest in (b"", b"\x01\x01\x01"):
        for data in (b"?" + varint + rest, memoryview(b"?" + varint + rest)):
            assert (number, 1 + len(varint)) == decode_varint(data, 1)


def test_a_negative_number_is_written_as_its_complement() -> None:
    """
    As int32 and int64 are; the lowest is read again.
    """
    assert encode_varint(HIGHEST) == encode_varint(-1)
    for number in (-1, -(1 << 63), (1 << 63) - 1):
        assert number == decode_signed(decode_varint(encode_varint(number), 0)[0])


def test_bits_behind_the_sixty_fourth_are_dropped() -> None:
    """
    As Google's libraries do.
    """
    assert (HIGHEST, 10) == decode_varint(b"\xff" * 9 + b"\x7f", 0)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x80\x80", b"\x80\x80\x80", b"\x80" * 10 + b"\x01"])
def test_a_varint_ends_after_ten_bytes_and_within_the_message(data: bytes) -> None:
    """
    Anything else is an error.
    """
    with pytest.raises(ValueError, match="cut off or too long"):
        decode_varint(data, 0)


@pytest.mark.parametrize(
    ("message", "meant"),
    [
        (b"", []),
        (b"\x0a\x00", [(1, b"")]),
        (b"\x0a\x00\x7a\x01x", [(1, b""), (15, b"x")]),
        (b"\x82\x01\x01x", [(16, b"x")]),
        (b"\x0a\x7f" + b"x" * 0x7F, [(1, b"x" * 0x7F)]),
        (b"\x0a\x80\x01" + b"x" * 0x80, [(1, b"x" * 0x80)]),
        (b"\x08\x96\x01\x10\x02", [(1, 150), (2, 2)]),
        (b"\x09" + b"12345678" + b"\x0d" + b"1234" + b"\x08\x01", [(1, b"12345678"), (1, b"1234"), (1, 1)]),
    ],
)
def test_fields_are_read_in_the_order_in_which_they_stand(message: bytes, meant: list[tuple[int, Field]]) -> None:
    """
    Of every kind; of one byte and of two for the key and the size.
    """
    assert meant == list(fields(message))


@pytest.mark.parametrize(
    "message",
    [
        b"\x00\x01",
        b"\x02\x00",
        b"\x0a",
        b"\x82",
        b"\x08",
        b"\x0a\x02x",
        b"\x0a\x80\x01" + b"x" * 0x7F,
        b"\x09" + b"1234567",
        b"\x0d" + b"123",
        *(bytes([1 << 3 | kind]) + b"xxxx" for kind in (3, 4, 6, 7)),
    ],
)
def test_what_is_no_field_is_an_error(message: bytes) -> None:
    """
    The number 0, a field that is cut off, a kind that proto3 does not know.
    """
    with pytest.raises(ValueError, match=r"field|wire type|varint"):
        list(fields(message))


@pytest.mark.parametrize(
    "read",
    [
        partial(decode_double, 1),
        partial(decode_double, b"1234567"),
        partial(decode_double, b"123456789"),
        partial(decode_signed, b"1"),
        partial(decode_text, 1),
        partial(decode_text, b"\xff"),
        partial(decode_bytes, 1),
    ],
)
def test_a_field_of_another_kind_is_an_error(read: Callable[[], object]) -> None:
    """
    Whichever was expected.
    """
    with pytest.raises(ValueError, match=r"not a|can't decode"):
        read()


def test_only_a_message_and_a_double_are_written_though_they_are_empty() -> None:
    """
    Proto3 leaves out all else.
    """
    assert b"" == encode_bytes(1, b"") == encode_integer(1, 0)
    assert b"\x0a\x00" == encode_message(1, b"")
    assert b"\x11" + bytes(8) == encode_double(2, 0.0)
    assert -1.5 == decode_double(encode_double(2, -1.5)[1:])
