"""
The message google.rpc.Status, in which gRPC and ttrpc carry an error; its details are a google.protobuf.Struct.

What lives here: status, struct and their bytes. What must not: what a status means (see `remora.errors`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from remora.errors import Code, DeadlineExceeded, PluginError, RemoraError
from remora.wire._protobuf import (
    Field,
    decode_bytes,
    decode_double,
    decode_signed,
    decode_text,
    encode_bytes,
    encode_double,
    encode_integer,
    encode_message,
    encode_text,
    encode_varint,
    fields,
)

STRUCT = "google.protobuf.Struct"
"""The full name of the message that carries `PluginError.details`."""

_STRUCT_URL = f"type.googleapis.com/{STRUCT}"
_MAX_DEPTH = 100


def encode_status(error: RemoraError) -> bytes:
    """
    An error as the bytes of a google.rpc.Status.
    """
    details = error.details if isinstance(error, PluginError) else {}
    packed = encode_text(1, _STRUCT_URL) + encode_bytes(2, encode_struct(details))
    return (
        encode_integer(1, error.code.number)
        + encode_text(2, error.message)
        + (encode_message(3, packed) if details else b"")
    )


def decode_status(data: bytes) -> RemoraError | None:
    """
    The error in the bytes of a google.rpc.Status; None when it says OK.

    Raises:
        ValueError: The bytes are not such a message.
    """
    number, message, details = 0, "", dict[str, object]()
    for field, value in fields(data):
        if field == 1:
            number = decode_signed(value)
        elif field == 2:
            message = decode_text(value)
        elif field == 3:
            details |= _decode_detail(decode_bytes(value))
    return error_from_status(Code.from_number(number), message, details) if number else None


def error_from_status(
    code: Code, message: str, details: Mapping[str, object] | None = None, headers: Mapping[str, str] | None = None
) -> RemoraError:
    """
    The error to raise for a status from a plugin: its own error, or the deadline that it noticed before the host.
    """
    if code is Code.DEADLINE_EXCEEDED:
        return DeadlineExceeded(message or "the plugin ran out of time")
    return PluginError(message, code=code, details=details, headers=headers)


def unsendable(error: RemoraError) -> PluginError:
    """
    What to answer in place of an error whose facts cannot be encoded: a handler may have put anything into it.
    """
    code: object = error.code
    return PluginError("the plugin's error cannot be sent", code=code if isinstance(code, Code) else Code.INTERNAL)


def _decode_detail(data: bytes) -> dict[str, object]:
    url, value = "", b""
    for field, content in fields(data):
        if field == 1:
            url = decode_text(content)
        elif field == 2:
            value = decode_bytes(content)
    return decode_struct(value) if url.rpartition("/")[2] == STRUCT else {}


def encode_struct(values: Mapping[str, object]) -> bytes:
    """
    A mapping of JSON values as the bytes of a google.protobuf.Struct. Any other value is written as its text.
    """
    return b"".join(
        encode_message(1, encode_text(1, str(key)) + encode_message(2, _encode_value(value)))
        for key, value in values.items()
    )


def _encode_value(value: object) -> bytes:
    if value is None:
        return b"\x08\x00"
    if isinstance(value, bool):
        return b"\x20" + encode_varint(value)
    if isinstance(value, int | float):
        return encode_double(2, float(value))
    if isinstance(value, Mapping):
        return encode_message(5, encode_struct(value))
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return encode_message(6, b"".join(encode_message(1, _encode_value(item)) for item in value))
    return encode_message(3, str(value).encode())


def decode_struct(data: bytes) -> dict[str, object]:
    """
    The mapping in the bytes of a google.protobuf.Struct. Whole numbers come back as integers.

    Raises:
        ValueError: The bytes are not such a message, or it is nested too deeply.
    """
    return _decode_struct(data, 0)


def _decode_struct(data: bytes, depth: int) -> dict[str, object]:
    entries = (dict(fields(decode_bytes(value))) for field, value in fields(data) if field == 1)
    return {decode_text(entry.get(1, b"")): _decode_value(decode_bytes(entry.get(2, b"")), depth) for entry in entries}


def _decode_value(data: bytes, depth: int) -> object:
    if depth > _MAX_DEPTH:
        raise ValueError("the details are nested too deeply")
    result: object = None
    for field, value in fields(data):
        result = _decode_kind(field, value, depth + 1)
    return result


def _decode_kind(field: int, value: Field, depth: int) -> object:
    if field == 2:
        number = decode_double(value)
        return int(number) if number.is_integer() else number
    if field == 3:
        return decode_text(value)
    if field == 4:
        return bool(value)
    if field == 5:
        return _decode_struct(decode_bytes(value), depth)
    if field == 6:
        items = (decode_bytes(item) for number, item in fields(decode_bytes(value)) if number == 1)
        return [_decode_value(item, depth) for item in items]
    return None
