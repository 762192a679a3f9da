"""
Frames of HTTP/2 by hand.
"""

from __future__ import annotations

import struct

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 2, 3, 4, 6, 7, 8, 9
END_STREAM, END_HEADERS = 1, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """
    One frame of HTTP/2.
    """
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def header(name: bytes, value: bytes, first: int = 0) -> bytes:
    """
    One header as HPACK has it, in full; `first` says whether the table is to know it.
    """
    return bytes([first, len(name)]) + name + length(len(value)) + value


def length(number: int) -> bytes:
    """
    A length as HPACK has it.
    """
    if number < 127:
        return bytes([number])
    number, out = number - 127, b"\x7f"
    while number >= 128:
        number, out = number >> 7, out + bytes([number % 128 + 128])
    return out + bytes([number])
