"""
The frames of ttrpc: a header of ten bytes, then a message.

What lives here: bytes and frames. What must not: the content of messages (see `_ttrpc`), any I/O.

Theory of operation: `FrameDecoder.feed` takes bytes as they arrive, `next_frame` returns complete frames. The size of a
message is checked in its header, before any of it is stored: the bytes of an oversize message are dropped as they
arrive and an `Oversize` replaces the frame, so that one call fails and all others go on. Frames of an unknown type are
skipped, for compatibility with later versions. Bytes that cannot be a header end the connection.

`frames` does both at once, without a copy of large messages: it also takes a view of a buffer that will be reused, and
returns a large message as a view, from which the reader copies what it keeps.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from remora.errors import WireError, WrongProtocol

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT_MAX_MESSAGE_SIZE = 4 * 1024 * 1024

LARGE = 16 * 1024
"""The size in bytes from which it is cheaper to pass on one more piece than to copy it."""

REQUEST, RESPONSE, DATA, CANCEL = 0x01, 0x02, 0x03, 0x10
"""The types of frames. CANCEL is Remora's own; peers that do not know it skip it."""

_HEADER = struct.Struct(">IIBB")
_SIZE = _HEADER.size
_pack, _unpack = _HEADER.pack, _HEADER.unpack_from
_KNOWN = frozenset({REQUEST, RESPONSE, DATA, CANCEL})
_ABSURD = 0x40
"""A first byte of this or more would mean a message of a gibibyte: it is not a frame but text ("HTTP", "{")."""
_QUOTED = 80


class Frame(NamedTuple):
    """
    A complete frame.

    Attributes:
        stream_id: The number of the call that it belongs to.
        kind: REQUEST, RESPONSE, DATA or CANCEL.
        message: The bytes after the header.
    """

    stream_id: int
    kind: int
    message: bytes


class Oversize(NamedTuple):
    """
    Replaces a frame whose message is larger than allowed; the message itself is dropped.

    Attributes:
        stream_id: The number of the call that it belongs to.
        kind: REQUEST, RESPONSE, DATA or CANCEL.
        size: The number of bytes of the message.
    """

    stream_id: int
    kind: int
    size: int


def encode_frame(stream_id: int, kind: int, message: bytes = b"") -> bytes:
    """
    The bytes of a frame.
    """
    return _pack(len(message), stream_id, kind, 0) + message


def frame_parts(stream_id: int, kind: int, message: tuple[bytes, bytes, bytes]) -> tuple[bytes, bytes, bytes]:
    """
    The bytes of a frame whose message comes in parts, as parts too.
    """
    head, payload, tail = message
    return _pack(len(head) + len(payload) + len(tail), stream_id, kind, 0) + head, payload, tail


class FrameDecoder:
    """
    Splits arriving bytes into frames.
    """

    def __init__(self, *, max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE) -> None:
        self._limit = max_message_size
        self._buffer: bytes | bytearray = b""
        self._position = 0
        self._to_skip = 0
        self._has_spoken = False

    @property
    def has_spoken(self) -> bool:
        """
        Whether at least one header has arrived, so that the peer is known to speak the protocol.
        """
        return self._has_spoken

    @property
    def is_between_frames(self) -> bool:
        """
        Whether everything that arrived belongs to complete frames.
        """
        return not self._to_skip and self._position == len(self._buffer)

    def feed(self, data: bytes | memoryview) -> None:
        """
        Take bytes that have arrived. Call `next_frame` until it returns None before feeding more.
        """
        if self._to_skip:
            skipped = min(self._to_skip, len(data))
            self._to_skip -= skipped
            data = data[skipped:]
        if not self._buffer:
            # complete frames are sliced from the bytes as they arrived, without a copy in between
            self._buffer = data if isinstance(data, bytes) else bytearray(data)
            return
        if isinstance(self._buffer, bytes):
            self._buffer = bytearray(self._buffer)
        self._buffer += data

    def frames(self, data: bytes | memoryview) -> Iterator[tuple[int, int, bytes | memoryview | int]]:
        """
        Take bytes that have arrived, and yield the complete frames as with `feed` and `next_frame`, but as plain
        tuples, which are cheaper: the number, the type, and the message, or its size if it is larger than allowed. It
        must be exhausted. A large message may be a view, valid until the next frame is asked for.

        Raises:
            WrongProtocol: The very first bytes are not a frame; the message quotes them.
            WireError: Bytes after a frame are not a frame; the message quotes them.
        """
        if self._buffer and 0 < (missing := self._missing()) <= len(data):
            self.feed(data[:missing])
            data = data[missing:]
            yield self._whole()
        if not (self._buffer or self._to_skip):
            if isinstance(data, memoryview) and not _begins_large(data):
                data = bytes(data)
            position, limit = 0, len(data)
            longest = self._limit
            while (start := position + _SIZE) <= limit:
                size, stream_id, kind, _ = _unpack(data, position)
                end = start + size
                if end > limit or size > longest or kind not in _KNOWN:
                    break
                position = end
                yield stream_id, kind, data[start:end]
            if position:
                self._has_spoken = True
                if position == limit:
                    return
                data = data[position:]
        self.feed(data)
        while (frame := self.next_frame()) is not None:
            yield frame

    def _missing(self) -> int:
        """
        The number of bytes missing from the frame that has begun; 0 when none has begun, or the number is unknown.
        """
        if len(self._buffer) < _SIZE:
            return 0
        size: int
        size, _, kind, _ = _unpack(self._buffer)
        return _SIZE + size - len(self._buffer) if kind in _KNOWN else 0

    def _whole(self) -> tuple[int, int, bytes | memoryview]:
        """
        The frame that fills the buffer.
        """
        buffer, self._buffer = self._buffer, b""
        _, stream_id, kind, _ = _unpack(buffer)
        message = memoryview(buffer)[_SIZE:]
        return stream_id, kind, message if len(message) >= LARGE else bytes(message)

    def next_frame(self) -> Frame | Oversize | None:
        """
        The next frame; None when more bytes are needed.

        Raises:
            WrongProtocol: The very first bytes are not a frame; the message quotes them.
            WireError: Bytes after a frame are not a frame; the message quotes them.
        """
        buffer, start = self._buffer, self._position + _SIZE
        if start <= len(buffer):
            size, stream_id, kind, _ = _HEADER.unpack_from(buffer, start - _SIZE)
            end = start + size
            if size <= self._limit and end <= len(buffer) and kind in _KNOWN:  # nearly always
                self._has_spoken = True
                self._position = end
                if isinstance(buffer, bytes):
                    return Frame(stream_id, kind, buffer[start:end])
                return Frame(stream_id, kind, bytes(memoryview(buffer)[start:end]))
        elif self._position == len(buffer):
            self._forget()
            return None
        return self._next_frame()

    def _next_frame(self) -> Frame | Oversize | None:
        while self._has_header():
            size, stream_id, kind, _ = _HEADER.unpack_from(self._buffer, self._position)
            if size > self._limit:
                self._skip(size)
                if kind in _KNOWN:
                    return Oversize(stream_id, kind, size)
                continue
            end = self._position + _HEADER.size + size
            if end > len(self._buffer):
                break
            message = bytes(memoryview(self._buffer)[end - size : end])
            self._position = end
            if kind in _KNOWN:
                return Frame(stream_id, kind, message)
        self._forget()
        return None

    def _has_header(self) -> bool:
        arrived = self._buffer[self._position : self._position + _HEADER.size]
        if arrived and arrived[0] >= _ABSURD:
            raise self._refusal()
        if len(arrived) < _HEADER.size:
            return False
        if _is_text(arrived):
            raise self._refusal()
        self._has_spoken = True
        return True

    def _skip(self, size: int) -> None:
        start = self._position + _HEADER.size
        arrived = min(size, len(self._buffer) - start)
        self._position = start + arrived
        self._to_skip = size - arrived

    def _forget(self) -> None:
        if self._position == len(self._buffer):
            self._buffer = b""
        elif self._position:
            self._buffer = bytearray(memoryview(self._buffer)[self._position :])
        self._position = 0

    def _refusal(self) -> WireError | WrongProtocol:
        what = quote(self._buffer[self._position :])
        if self._has_spoken:
            return WireError(f"the peer sent something that is not a ttrpc frame: {what}")
        return WrongProtocol(f"the peer does not speak ttrpc; it sent {what}")


def _begins_large(data: memoryview) -> bool:
    return len(data) >= LARGE and int.from_bytes(data[:4], "big") >= LARGE


def _is_text(header: bytes | bytearray) -> bool:
    return all(0x20 <= byte < 0x7F or byte in b"\t\r\n" for byte in header)


def quote(data: bytes | bytearray) -> str:
    """
    Bytes from a peer, escaped and shortened for use in an error message.
    """
    text = repr(bytes(data[:_QUOTED]))[1:]
    return f"{text} ..." if len(data) > _QUOTED else text
