"""
The two messages of ttrpc, Request and Response, to and from calls, replies and errors.

What lives here: encoding and decoding of messages. What must not: frames (see `_frames`), any I/O.

Names of metadata are lower case. The payload's format is sent as `content-type`, the identifier of the call as
`x-request-id`; all other metadata are the headers. Metadata of a Response is an extension that other peers skip.

A large payload is not copied into its message: `request_parts` and `reply_parts` return the bytes before it, the
payload itself, and the bytes after it. The receiver's `lift_from_request` and `lift_from_response` take it out again,
and the rest is a small message.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from remora._draft import make_call, make_reply
from remora.errors import PluginError, RemoraError
from remora.types import Reply
from remora.wire._protobuf import (
    decode_bytes,
    decode_signed,
    decode_text,
    decode_varint,
    encode_integer,
    encode_message,
    encode_text,
    encode_varint,
    fields,
)
from remora.wire._status import decode_status, encode_status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from remora.types import Call

PROTOBUF = "application/proto"
"""The format of a payload when neither peer names one."""

_SERVICE, _METHOD, _PAYLOAD, _TIMEOUT, _METADATA = 1, 2, 3, 4, 5
_STATUS, _REPLY_PAYLOAD = 1, 2
_CONTENT_TYPE, _REQUEST_ID = "content-type", "x-request-id"
_RESERVED = frozenset({_CONTENT_TYPE, _REQUEST_ID})
_NANOSECONDS = 1_000_000_000
_FOREVER = 1 << 32
_REPLY_PAYLOAD_KEY = _REPLY_PAYLOAD << 3 | 2
_PAYLOAD_KEY, _TIMEOUT_KEY, _METADATA_KEY = _PAYLOAD << 3 | 2, _TIMEOUT << 3, _METADATA << 3 | 2
_IDENTIFIER = encode_text(1, _REQUEST_ID)
_IDENTIFIER_AND_KEY = _IDENTIFIER + b"\x12"
_IDENTIFIER_START = len(_IDENTIFIER_AND_KEY) + 1
_SHORT, _UNTOLD = 128, "-"
_USUAL = 46


def encode_request(call: Call, now: float) -> bytes:
    """
    The Request for a call.

    Args:
        call: The call; the time left until its deadline becomes the timeout.
        now: The present time on the clock of the deadline, in seconds.
    """
    payload, identifier = call.payload, call.request_id.encode()
    start = _start(call.service, call.method, len(payload))
    message = b"".join((start, payload, _labels_of(call, now, len(identifier)), identifier))
    return message + _entries(call.headers) if call.headers else message


def request_parts(call: Call, now: float) -> tuple[bytes, bytes, bytes]:
    """
    The same in three parts: the bytes before the payload, the payload, and the bytes after it.
    """
    payload, identifier = call.payload, call.request_id.encode()
    tail = _labels_of(call, now, len(identifier)) + identifier
    return (
        _start(call.service, call.method, len(payload)),
        payload,
        tail + _entries(call.headers) if call.headers else tail,
    )


def _labels_of(call: Call, now: float, size: int) -> bytes:
    """
    The bytes between the payload and an identifier of `size` bytes.
    """
    left = call.deadline
    if left is None:
        return _labels(call.content_type, size)
    if 0.001 <= (left := left - now) < _FOREVER:
        return _timed_labels(int(left * 1000), call.content_type, size)  # whole milliseconds repeat, and are cached
    return _nanoseconds(left) + _labels(call.content_type, size)


def lift_from_request(message: memoryview) -> tuple[bytes, bytes]:
    """
    Take the payload out of a large Request.

    Returns:
        The rest of the message, and the payload, which is empty when it was not at its usual place.
    """
    try:
        start = _end_of_short(message, _METHOD, _end_of_short(message, _SERVICE, 0))
        return _lift(message, start, _PAYLOAD_KEY)
    except (IndexError, ValueError):  # decoding the message will report what is wrong
        return bytes(message), b""


def lift_from_response(message: memoryview) -> tuple[bytes, bytes]:
    """
    Take the payload out of a large Response, as `lift_from_request`.
    """
    try:
        return _lift(message, 0, _REPLY_PAYLOAD_KEY)
    except (IndexError, ValueError):
        return bytes(message), b""


def _lift(message: memoryview, start: int, key: int) -> tuple[bytes, bytes]:
    if message[start] == key:
        size, begin = decode_varint(message, start + 1)
        if (end := begin + size) <= len(message):
            rest = bytes(message[end:])
            return bytes(message[:start]) + rest if start else rest, bytes(message[begin:end])
    return bytes(message), b""


def decode_request(message: bytes, now: float, payload: bytes = b"") -> Call:
    """
    The call in a Request; its `content_type` is empty when the peer says nothing about it.

    Args:
        message: The bytes.
        now: The present time in seconds, from which the timeout counts.
        payload: The payload that was lifted out of it.

    Raises:
        ValueError: The bytes are not such a message.
    """
    try:
        call = _usual_request(message, now, payload)
    except IndexError:  # the message is cut off
        call = None
    return call or _any_request(message, now, payload)


def _usual_request(message: bytes, now: float, payload: bytes) -> Call | None:
    """
    The call in a Request whose fields are in order and short, as most are; None for any other.
    """
    end = _end_of_short(message, _METHOD, _end_of_short(message, _SERVICE, 0))
    service, method = _target_in(message[:end])
    timeout, size = 0, len(message)
    if end < size and message[end] == _PAYLOAD_KEY:
        length, start = decode_varint(message, end + 1)
        end = start + length
        payload = message[start:end]
    if end < size and message[end] == _TIMEOUT_KEY:
        timeout, end = decode_varint(message, end + 1)
    metadata: dict[str, str] = {}
    while end < size:
        if message[end] != _METADATA_KEY or message[end + 1] >= 0x80:
            return None
        start = end + 2
        end = start + message[end + 1]
        if not _add_entry(metadata, message[start:end]):
            return None
    return None if end > size else _request(service, method, payload, decode_signed(timeout), metadata, now)


def _end_of_short(message: bytes | memoryview, field: int, start: int) -> int:
    """
    The end of the short text in `field` at `start`; `start` when another field begins there.
    """
    if message[start] != field << 3 | 2 or message[start + 1] >= 0x80:
        return start
    return start + 2 + message[start + 1]


@lru_cache(maxsize=1024)
def _target_in(start: bytes) -> tuple[str, str]:
    call = _any_request(start, 0.0)
    return call.service, call.method


def _any_request(message: bytes, now: float, payload: bytes = b"") -> Call:
    service, method, timeout = "", "", 0
    entries: list[bytes] = []
    for field, value in fields(message):
        if field == _SERVICE:
            service = decode_text(value)
        elif field == _METHOD:
            method = decode_text(value)
        elif field == _PAYLOAD:
            payload = decode_bytes(value)
        elif field == _TIMEOUT:
            timeout = decode_signed(value)
        elif field == _METADATA:
            entries.append(decode_bytes(value))
    return _request(service, method, payload, timeout, _joined(entries), now)


def _request(service: str, method: str, payload: bytes, timeout: int, metadata: dict[str, str], now: float) -> Call:
    return make_call(
        service,
        method,
        payload,
        metadata.pop(_CONTENT_TYPE, ""),
        metadata,
        now + timeout / _NANOSECONDS if timeout else None,
        metadata.pop(_REQUEST_ID, ""),
        False,
        "",
        "",
    )


def encode_reply(reply: Reply) -> bytes:
    """
    The Response for a reply.
    """
    return b"".join(reply_parts(reply))


def reply_parts(reply: Reply) -> tuple[bytes, bytes, bytes]:
    """
    The same in three parts: the bytes before the payload, the payload, and the bytes after it.
    """
    payload = reply.payload
    tail = _format(reply.content_type)
    return _reply_start(len(payload)), payload, tail + _entries(reply.headers) if reply.headers else tail


def encode_error(error: RemoraError) -> bytes:
    """
    The Response for an error.
    """
    headers = error.headers if isinstance(error, PluginError) else {}
    return encode_message(_STATUS, encode_status(error)) + _entries(headers)


def decode_response(message: bytes, content_type: str, payload: bytes = b"") -> Reply | RemoraError:
    """
    The reply or the error in a Response.

    Args:
        message: The bytes.
        content_type: The format of the request, which is also the reply's when the peer does not name another.
        payload: The payload that was lifted out of it.

    Raises:
        ValueError: The bytes are not such a message.
    """
    try:
        if message[0] == _REPLY_PAYLOAD_KEY:  # nearly always
            start = 2
            if (size := message[1]) >= 0x80:
                size, start = decode_varint(message, 1)
            end = start + size
            if end <= len(message) and (told := _told(message[end:])) is not None:
                return make_reply(message[start:end], told or content_type or PROTOBUF, {})
    except IndexError:  # the message is empty or cut off
        pass
    if payload and (told := _told(message)) is not None:
        return make_reply(payload, told or content_type or PROTOBUF, {})
    return _decode_any_response(message, content_type, payload)


def _decode_any_response(message: bytes, content_type: str, payload: bytes = b"") -> Reply | RemoraError:
    error = None
    entries: list[bytes] = []
    for field, value in fields(message):
        if field == _STATUS:
            error = decode_status(decode_bytes(value))
        elif field == _REPLY_PAYLOAD:
            payload = decode_bytes(value)
        elif field == _METADATA:
            entries.append(decode_bytes(value))
    metadata = _joined(entries)
    format_ = metadata.pop(_CONTENT_TYPE, "") or content_type or PROTOBUF
    if error is None:
        return Reply(payload=payload, content_type=format_, headers=metadata)
    if isinstance(error, PluginError):
        error.headers |= metadata
    return error


@lru_cache(maxsize=64)
def _told(metadata: bytes) -> str | None:
    """
    The format, when the metadata of a Response name nothing else; empty without metadata, None otherwise.
    """
    if not metadata:
        return ""
    found = _decode_any_response(metadata, _UNTOLD) if len(metadata) < _SHORT else None
    if not isinstance(found, Reply) or found.headers or found.payload or found.content_type == _UNTOLD:
        return None
    return found.content_type


@lru_cache(maxsize=1024)
def _target(service: str, method: str) -> bytes:
    return encode_text(_SERVICE, service) + encode_text(_METHOD, method)


@lru_cache(maxsize=1024)
def _start(service: str, method: str, size: int) -> bytes:
    """
    The bytes before a payload of `size` bytes; only service and method when it is empty.
    """
    return _target(service, method) + _payload_start(size)


@lru_cache(maxsize=64)
def _format(content_type: str) -> bytes:
    return _entry(_CONTENT_TYPE, content_type) if content_type else b""


def _nanoseconds(seconds: float) -> bytes:
    return encode_integer(_TIMEOUT, int(max(1, min(seconds, _FOREVER) * _NANOSECONDS)))


@lru_cache(maxsize=4096)
def _timed_labels(milliseconds: int, content_type: str, size: int) -> bytes:
    return encode_integer(_TIMEOUT, milliseconds * 1_000_000) + _labels(content_type, size)


def _payload_start(size: int) -> bytes:
    return b"%c%b" % (_PAYLOAD_KEY, encode_varint(size)) if size else b""


@lru_cache(maxsize=1024)
def _reply_start(size: int) -> bytes:
    return b"%c%b" % (_REPLY_PAYLOAD_KEY, encode_varint(size)) if size else b""


@lru_cache(maxsize=1024)
def _labels(content_type: str, size: int) -> bytes:
    """
    The format, and the bytes before an identifier of `size` bytes; only the format when there is none.
    """
    if not size:
        return _format(content_type)
    entry = _IDENTIFIER_AND_KEY + encode_varint(size)
    return b"%b%c%b%b" % (_format(content_type), _METADATA_KEY, encode_varint(len(entry) + size), entry)


def _entries(headers: Mapping[str, str]) -> bytes:
    if not headers:
        return b""
    names = ((name.lower(), value) for name, value in headers.items())
    return b"".join(_entry(name, value) for name, value in names if name not in _RESERVED)


def _entry(key: str, value: str) -> bytes:
    return encode_message(_METADATA, encode_text(1, key) + encode_text(2, value))


def _add_entry(metadata: dict[str, str], data: bytes) -> bool:
    """
    Add an entry of metadata; False when there is another of its name, with whose value its own is to be joined.
    """
    size = len(data) - _IDENTIFIER_START
    if data.startswith(_IDENTIFIER_AND_KEY) and size >= 0 and data[_IDENTIFIER_START - 1] == size:
        metadata[_REQUEST_ID] = data[_IDENTIFIER_START:].decode()  # nearly always new, so not cached
        return True
    key, text = _usual_entry(data) if len(data) < _USUAL else _entry_in(data)
    if key in metadata and key not in _RESERVED:
        return False
    metadata[key] = text
    return True


def _joined(entries: Iterable[bytes]) -> dict[str, str]:
    """
    Metadata in which names may be there many times. Their values are joined at the end: joining them one by one would
    take a time that grows with the square of their number, which is up to the peer.
    """
    values: dict[str, list[str]] = {}
    for key, text in map(_entry_in, entries):
        if key in _RESERVED:
            values[key] = [text]
        else:
            values.setdefault(key, []).append(text)
    return {key: ", ".join(texts) for key, texts in values.items()}


def _entry_in(data: bytes) -> tuple[str, str]:
    key, text = "", ""
    for field, value in fields(data):
        if field == 1:
            key = decode_text(value).lower()
        elif field == 2:
            text = decode_text(value)
    return key, text


_usual_entry = lru_cache(maxsize=256)(_entry_in)
"""Formats repeat with every call; identifiers are longer, and would only evict them."""
