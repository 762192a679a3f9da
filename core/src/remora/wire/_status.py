"""
The message google.rpc.Status, in which gRPC and ttrpc carry an error. Its details are a google.protobuf.Struct, and a
google.rpc.RetryInfo where the seconds until another try are known.

What lives here: status, struct and their bytes. What must not: what a status means (see `remora.errors`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from remora.errors import Code, DeadlineExceeded, MessageTooLarge, PluginError, RemoraError
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
from remora.wire._size import means_too_large

STRUCT = "google.protobuf.Struct"
"""The full name of the message that carries `PluginError.details`."""

RETRY_INFO = "google.rpc.RetryInfo"
"""The full name of the message that carries `RemoraError.retry_after`."""

_LONGEST = 1e9  # seconds; more is never waited for
_MAX_DEPTH = 100


def encode_status(error: RemoraError) -> bytes:
    """
    An error as the bytes of a google.rpc.Status.
    """
    details = error.details if isinstance(error, PluginError) else {}
    after = error.retry_after
    return (
        encode_integer(1, error.code.number)
        + encode_text(2, error.message)
        + (_packed(STRUCT, encode_struct(details)) if details else b"")
        + (_packed(RETRY_INFO, encode_retry_info(after)) if after is not None else b"")
    )


def decode_status(data: bytes) -> RemoraError | None:
    """
    The error in the bytes of a google.rpc.Status; None when it says OK.

    Raises:
        ValueError: The bytes are not such a message.
    """
    number, message, details, after = 0, "", dict[str, object](), None
    for field, value in fields(data):
        if field == 1:
            number = decode_signed(value)
        elif field == 2:
            message = decode_text(value)
        elif field == 3:
            kind, content = _unpacked(decode_bytes(value))
            if kind == STRUCT:
                details |= decode_struct(content)
            elif kind == RETRY_INFO:
                after = decode_retry_info(content)
    if not number:
        return None
    error = error_from_status(Code.from_number(number), message, details)
    error.retry_after = after
    return error


def error_from_status(
    code: Code, message: str, details: Mapping[str, object] | None = None, headers: Mapping[str, str] | None = None
) -> RemoraError:
    """
    The error to raise for a status from a plugin: its own error, or the deadline or the limit that it noticed before
    the host.
    """
    if code is Code.DEADLINE_EXCEEDED:
        return DeadlineExceeded(message or "the plugin ran out of time")
    if code is Code.RESOURCE_EXHAUSTED and means_too_large(message):
        return MessageTooLarge(message)
    return PluginError(message, code=code, details=details, headers=headers)


def unsendable(error: RemoraError) -> PluginError:
    """
    What to answer in place of an error whose facts cannot be encoded: a handler may have put anything into it.
    """
    code: object = error.code
    return PluginError("the plugin's error cannot be sent", code=code if isinstance(code, Code) else Code.INTERNAL)


def _packed(kind: str, message: bytes) -> bytes:
    """
    A detail: a message in a google.protobuf.Any.
    """
    return encode_message(3, encode_text(1, f"type.googleapis.com/{kind}") + encode_bytes(2, message))


def _unpacked(data: bytes) -> tuple[str, bytes]:
    """
    The full name of the message in a detail, and its bytes.
    """
    url, message = "", b""
    for field, content in fields(data):
        if field == 1:
            url = decode_text(content)
        elif field == 2:
            message = decode_bytes(content)
    return url.rpartition("/")[2], message


def encode_retry_info(seconds: float) -> bytes:
    """
    A number of seconds as the bytes of a google.rpc.RetryInfo; 0 for what is less, or NaN.
    """
    nanoseconds = round(min(max(0.0, seconds), _LONGEST) * 1e9)
    return encode_message(1, encode_integer(1, nanoseconds // 10**9) + encode_integer(2, nanoseconds % 10**9))


def decode_retry_info(data: bytes) -> float:
    """
    The seconds in the bytes of a google.rpc.RetryInfo; less than 0 asks for no other try.

    Raises:
        ValueError: The bytes are not such a message.
    """
    delay = 0.0
    for _, duration in fields(data):
        for field, value in fields(decode_bytes(duration)):
            delay += decode_signed(value) * {1: 1.0, 2: 1e-9}.get(field, 0.0)
    return min(delay, _LONGEST)


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
