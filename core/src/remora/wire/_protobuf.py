"""
The protobuf wire format, as far as the fixed messages of Remora's wires need it: varints and length-delimited fields.

What lives here: bytes and field numbers. What must not: any message (see `_status` and `_ttrpc`).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BYTES = 10
_UINT64 = (1 << 64) - 1

_SMALL = [bytes((number,)) for number in range(0x80)]

Field = int | bytes
"""A varint's number, or the raw bytes of a length-delimited or fixed-width field."""


def encode_varint(number: int) -> bytes:
    """
    The varint of a number; a negative one is written in two's complement, as protobuf does for int32 and int64.
    """
    if 0 <= number < 0x80:
        return _SMALL[number]
    number &= _UINT64
    out = []
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def encode_bytes(field: int, value: bytes) -> bytes:
    """
    A length-delimited field; no bytes at all when the value is empty, as in proto3.
    """
    return b"%c%b%b" % (field << 3 | _BYTES, encode_varint(len(value)), value) if value else b""


def encode_text(field: int, value: str) -> bytes:
    """
    A string field.
    """
    return encode_bytes(field, value.encode())


def encode_message(field: int, value: bytes) -> bytes:
    """
    A message field; unlike a string it is written even when it is empty.
    """
    return b"%c%b%b" % (field << 3 | _BYTES, encode_varint(len(value)), value)


def encode_integer(field: int, value: int) -> bytes:
    """
    A varint field; no bytes at all for zero.
    """
    return b"%c%b" % (field << 3 | _VARINT, encode_varint(value)) if value else b""


def encode_double(field: int, value: float) -> bytes:
    """
    A double field.
    """
    return b"%c%b" % (field << 3 | _FIXED64, struct.pack("<d", value))


def decode_double(value: Field) -> float:
    """
    The number in a double field.

    Raises:
        ValueError: The field is not eight bytes.
    """
    if not isinstance(value, bytes) or len(value) != 8:
        raise ValueError("not a double")
    number: float = struct.unpack("<d", value)[0]
    return number


def decode_signed(value: Field) -> int:
    """
    The number of an int32 or int64 field.
    """
    if isinstance(value, bytes):
        raise ValueError("not an integer")
    return value - (1 << 64) if value >> 63 else value


def decode_text(value: Field) -> str:
    """
    The text of a string field.

    Raises:
        ValueError: It is not UTF-8, or not a string field.
    """
    return decode_bytes(value).decode()


def decode_bytes(value: Field) -> bytes:
    """
    The bytes of a length-delimited field.
    """
    if isinstance(value, int):
        raise ValueError("not a length-delimited field")
    return value


def fields(data: bytes) -> Iterator[tuple[int, Field]]:
    """
    The fields of a message, in the order in which they stand.

    Raises:
        ValueError: The bytes are not a protobuf message.
    """
    position, end = 0, len(data)
    while position < end:
        key = data[position]
        if key < 0x80 and key & 7 == _BYTES and key > 7 and position + 1 < end and (size := data[position + 1]) < 0x80:
            start = position + 2  # a short text or message of a low number: nearly always
            position = start + size
            if position > end:
                raise ValueError(f"field {key >> 3} is cut off")
            yield key >> 3, data[start:position]
            continue
        key, position = decode_varint(data, position)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise ValueError("field number 0")
        value: Field
        if kind == _VARINT:
            value, position = decode_varint(data, position)
        else:
            size, position = _size(kind, data, position)
            if position + size > end:
                raise ValueError(f"field {number} is cut off")
            value, position = data[position : position + size], position + size
        yield number, value


def _size(kind: int, data: bytes, position: int) -> tuple[int, int]:
    if kind == _BYTES:
        return decode_varint(data, position)
    if kind == _FIXED64:
        return 8, position
    if kind == _FIXED32:
        return 4, position
    raise ValueError(f"wire type {kind} is unknown")


def decode_varint(data: bytes | memoryview, position: int) -> tuple[int, int]:
    """
    The number in a varint, and the position behind it.

    Raises:
        ValueError: It is cut off, or longer than a number may be.
    """
    if position < len(data) and data[position] < 0x80:  # nearly always
        return data[position], position + 1
    if position + 2 < len(data) and data[position + 2] < 0x80 <= data[position + 1]:  # the size of a large body
        return data[position] & 0x7F | (data[position + 1] & 0x7F) << 7 | data[position + 2] << 14, position + 3
    number = 0
    for shift, byte in enumerate(data[position : position + _MAX_VARINT_BYTES]):
        number |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return number & _UINT64, position + shift + 1
    raise ValueError("a varint is cut off or too long")
