"""
The bytes of frames on their way out: a small frame whole, a large one in parts that are never joined.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    Bytes = bytes | tuple[bytes, bytes, bytes]
    """The bytes of a message or a frame, whole or in parts, of which the second is large and the others small."""


def size_of(frame: Bytes) -> int:
    """
    The number of bytes of a frame.
    """
    if isinstance(frame, bytes):
        return len(frame)
    head, payload, tail = frame
    return len(head) + len(payload) + len(tail)


def parts_of(frame: Bytes) -> Sequence[bytes]:
    """
    The parts of a frame; a small one is its only part.
    """
    return (frame,) if isinstance(frame, bytes) else frame


def pieces_of(frames: Sequence[Bytes]) -> Sequence[bytes]:
    """
    The bytes of some frames in few pieces.
    """
    if not frames:
        return ()
    if not isinstance(frames[0], bytes):  # a large one is seldom alone
        return _apart(frames)
    try:
        return (b"".join(frames),)  # type: ignore[arg-type]
    except TypeError:  # some are in parts
        return _apart(frames)


def _apart(frames: Sequence[Bytes]) -> Sequence[bytes]:
    """
    Large pieces alone, and the small ones between them joined.
    """
    pieces: list[bytes] = []
    small: list[bytes] = []
    for frame in frames:
        if isinstance(frame, bytes):
            small.append(frame)
        else:
            head, payload, tail = frame
            pieces += b"".join((*small, head)), payload
            small = [tail]
    if small:
        pieces.append(b"".join(small))
    return pieces


def rest_of(pieces: Sequence[bytes | memoryview], written: int) -> Sequence[bytes | memoryview]:
    """
    The rest of some pieces after `written` of their bytes have been written.
    """
    for index, piece in enumerate(pieces):
        if written < len(piece):
            return [memoryview(piece)[written:], *pieces[index + 1 :]]
        written -= len(piece)
    return ()
