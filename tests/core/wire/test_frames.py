"""
Frames of ttrpc out of bytes that arrive in any portions.
"""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora import WireError, WrongProtocol
from remora.wire import CANCEL, DATA, LARGE, REQUEST, RESPONSE, Frame, FrameDecoder, Oversize, encode_frame, frame_parts

LIMIT = 64

kinds = st.sampled_from([REQUEST, RESPONSE, DATA, CANCEL])
numbers = st.integers(1, (1 << 31) - 1)
frames = st.builds(Frame, numbers, kinds, st.binary(max_size=LIMIT))
oversize_frames = st.builds(Frame, numbers, kinds, st.binary(min_size=LIMIT + 1, max_size=4 * LIMIT))
unknown_frames = st.builds(
    Frame, numbers, st.integers(0, 255).filter(lambda kind: kind not in {1, 2, 3, 0x10}), st.binary(max_size=2 * LIMIT)
)


def encoded(frame: Frame) -> bytes:
    """
    A frame's bytes.
    """
    return encode_frame(frame.stream_id, frame.kind, frame.message)


def expected(frame: Frame) -> list[Frame | Oversize]:
    """
    What a decoder is to make of a frame.
    """
    if frame.kind not in {REQUEST, RESPONSE, DATA, CANCEL}:
        return []
    size = len(frame.message)
    return [frame] if size <= LIMIT else [Oversize(frame.stream_id, frame.kind, size)]


def decoded(decoder: FrameDecoder, *portions: bytes) -> list[Frame | Oversize]:
    """
    The frames in portions of bytes.
    """
    out: list[Frame | Oversize] = []
    for portion in portions:
        decoder.feed(portion)
        while (frame := decoder.next_frame()) is not None:
            out.append(frame)
    return out


def taken(decoder: FrameDecoder, *portions: bytes) -> list[Frame | Oversize]:
    """
    The same by the quicker way, of which plain tuples come.
    """
    found = [frame for portion in portions for frame in decoder.frames(portion)]
    return [frame if isinstance(frame, Oversize) else Frame(*frame) for frame in found]


def viewed(decoder: FrameDecoder, *portions: bytes) -> list[Frame | Oversize]:
    """
    The same from one buffer that is used again for each portion, and is wiped in between.
    """
    out: list[Frame | Oversize] = []
    buffer = bytearray(max(map(len, portions), default=0))
    for portion in portions:
        buffer[: len(portion)] = portion
        for frame in decoder.frames(memoryview(buffer)[: len(portion)]):
            out.append(frame if isinstance(frame, Oversize) else Frame(frame[0], frame[1], bytes(frame[2])))
        buffer[:] = b"\xee" * len(buffer)
    return out


def test_the_header_is_ten_bytes_with_the_size_first() -> None:
    """
    As containerd writes it.
    """
    assert bytes.fromhex("00000002 00000005 01 00") + b"ab" == encode_frame(5, REQUEST, b"ab")
    assert bytes.fromhex("00000000 00000005 10 00") == encode_frame(5, CANCEL)


@given(st.lists(frames | oversize_frames | unknown_frames, max_size=8), st.data())
def test_frames_come_out_as_they_went_in_however_they_are_cut(sent: list[Frame], data: st.DataObject) -> None:
    """
    Oversize ones by name only, unknown ones not at all.
    """
    wire = b"".join(map(encoded, sent))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=10)))
    portions = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    wanted = [out for frame in sent for out in expected(frame)]
    for all_of in (decoded, taken, viewed):
        decoder = FrameDecoder(max_message_size=LIMIT)

        assert wanted == all_of(decoder, *portions)
        assert decoder.is_between_frames
        assert decoder.has_spoken is bool(sent)


@pytest.mark.fault(32)
def test_a_frame_may_be_cut_at_every_byte() -> None:
    """
    Two frames, oversize and unknown ones between them, a byte at a time and in two halves, though their messages look
    like frames.
    """
    inner = encode_frame(9, REQUEST, b"!") + encode_frame(9, RESPONSE)
    sent = [Frame(1, REQUEST, inner), Frame(3, REQUEST, 4 * inner), Frame(5, 0x77, inner), Frame(5, 0x77, 4 * inner)]
    sent += [Frame(7, RESPONSE, 3 * inner), Frame(9, CANCEL, b"")]
    wire = b"".join(map(encoded, sent))
    wanted = [out for frame in sent for out in expected(frame)]

    for all_of in (decoded, taken, viewed):
        assert wanted == all_of(FrameDecoder(max_message_size=LIMIT), *(bytes([byte]) for byte in wire))
        for cut in range(len(wire)):
            found = all_of(FrameDecoder(max_message_size=LIMIT), wire[:cut], wire[cut:])
            assert wanted == found
            assert {bytes} == {type(frame.message) for frame in found if isinstance(frame, Frame)}


@pytest.mark.parametrize("all_of", [decoded, taken, viewed])
@pytest.mark.parametrize(("limit", "size"), [({"max_message_size": LIMIT}, LIMIT), ({}, 4 * 1024 * 1024)])
def test_the_largest_message_that_passes_has_the_size_of_the_limit(
    limit: dict[str, int], size: int, all_of: Callable[..., list[Frame | Oversize]]
) -> None:
    """
    One more byte is refused; 4 MiB pass where nothing else is said.
    """
    frame = Frame(1, REQUEST, bytes(size))

    assert [frame] == all_of(FrameDecoder(**limit), encoded(frame))
    assert [Oversize(1, REQUEST, size + 1)] == all_of(FrameDecoder(**limit), struct.pack(">IIBB", size + 1, 1, 1, 0))


@pytest.mark.parametrize("all_of", [decoded, taken, viewed])
@pytest.mark.parametrize("cut", [0, 5], ids=["between frames", "within frames"])
def test_a_frame_that_was_handed_out_is_not_kept(all_of: Callable[..., list[Frame | Oversize]], cut: int) -> None:
    """
    Neither where portions end with frames, nor where they never do.
    """
    wire = encode_frame(1, REQUEST, bytes(LARGE - 1))
    portion = wire[cut:] + wire[:cut]
    decoder = FrameDecoder()
    all_of(decoder, wire[:cut])
    tracemalloc.start()
    try:
        for _ in range(50):
            assert 1 == len(all_of(decoder, portion))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert kept < 4 * len(portion)


@pytest.mark.fault(32)
def test_a_large_frame_among_small_ones_may_be_cut_near_each_of_its_ends() -> None:
    """
    Though it is handed out where it arrived, and what comes after it overwrites that.
    """
    sent = [Frame(1, REQUEST, b"abc"), Frame(3, RESPONSE, b"x" * LARGE), Frame(5, REQUEST, b"y" * (LARGE - 1))]
    sent += [Frame(7, RESPONSE, b"z" * 2 * LARGE), Frame(9, CANCEL, b"")]
    wire = b"".join(map(encoded, sent))
    ends = [sum(len(encoded(frame)) for frame in sent[:number]) for number in range(len(sent) + 1)]
    cuts = [cut for end in ends for cut in range(end - 12, end + 13) if 0 <= cut <= len(wire)]

    for all_of in (decoded, taken, viewed):
        for cut in cuts:
            assert sent == all_of(FrameDecoder(max_message_size=2 * LARGE), wire[:cut], wire[cut:])


@given(st.data())
def test_large_frames_come_out_whole_however_they_are_cut(data: st.DataObject) -> None:
    """
    Also between oversize and unknown ones.
    """
    sizes = st.sampled_from([0, 5, LARGE - 1, LARGE, LARGE + 1, 3 * LARGE, 4 * LARGE])
    sent = data.draw(st.lists(st.builds(Frame, numbers, kinds | st.just(0x77), sizes.map(bytes)), max_size=5))
    wire = b"".join(map(encoded, sent))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=6)))
    portions = [wire[a:b] for a, b in zip([0, *cuts], [*cuts, len(wire)], strict=True)]
    wanted = [
        frame if len(frame.message) <= 3 * LARGE else Oversize(frame.stream_id, frame.kind, len(frame.message))
        for frame in sent
        if frame.kind != 0x77
    ]

    for all_of in (decoded, taken, viewed):
        assert wanted == all_of(FrameDecoder(max_message_size=3 * LARGE), *portions)


def test_the_message_of_a_large_frame_is_not_copied() -> None:
    """
    It lies where it arrived.
    """
    buffer = bytearray(encode_frame(1, RESPONSE, b"x" * LARGE) + encode_frame(3, RESPONSE, b"y" * LARGE))
    decoder = FrameDecoder()
    found = next(iter(decoder.frames(memoryview(buffer))))

    assert not isinstance(found, Oversize)
    assert isinstance(found[2], memoryview)
    assert found[2].obj is buffer


@pytest.mark.parametrize("cut", [0, 10, 99])
@pytest.mark.parametrize(("size", "kind"), [(LARGE - 1, bytes), (LARGE, memoryview)])
def test_only_a_large_message_is_handed_out_as_a_view(size: int, kind: type, cut: int) -> None:
    """
    Whether its frame arrives at once or in two pieces.
    """
    wire = memoryview(encode_frame(1, RESPONSE, bytes(size)))
    decoder = FrameDecoder(max_message_size=size)
    found = [*decoder.frames(wire[:cut]), *decoder.frames(wire[cut:])]

    assert [kind] == [type(message) for _, _, message in found]


def test_a_frame_in_parts_is_the_frame() -> None:
    """
    Put together, it is the same bytes.
    """
    assert encode_frame(5, REQUEST, b"abcde") == b"".join(frame_parts(5, REQUEST, (b"ab", b"cd", b"e")))


@pytest.mark.fault(32, 33)
def test_an_oversize_frame_is_reported_by_its_header_and_not_kept() -> None:
    """
    Before its message arrives.
    """
    decoder = FrameDecoder(max_message_size=LIMIT)
    header = struct.pack(">IIBB", 100_000_000, 3, REQUEST, 0)

    assert [Oversize(3, REQUEST, 100_000_000)] == decoded(decoder, header)
    assert not decoder.is_between_frames
    for _ in range(100):
        assert [] == decoded(decoder, bytes(1_000_000))
    assert [Frame(5, REQUEST, b"a")] == decoded(decoder, encode_frame(5, REQUEST, b"a"))


@pytest.mark.fault(5)
@pytest.mark.parametrize(
    "text",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b'{"error": 1}',
        b"<!DOCTYPE html>",
        b"\r\n\r\n 0123456",
        b"@",
        b"12345 67890",
        b" " * 9 + b"~",
    ],
)
def test_text_is_no_ttrpc(text: bytes) -> None:
    """
    It is quoted in the error.
    """
    decoder = FrameDecoder()
    with pytest.raises(WrongProtocol) as caught:
        decoded(decoder, text)

    assert repr(text)[1:] in str(caught.value)


@pytest.mark.parametrize("start", [b"?", b" " * 9, b" " * 9 + b"\x7f", b" " * 9 + b"\x1f"])
def test_what_may_yet_be_a_frame_is_not_taken_for_text(start: bytes) -> None:
    """
    Of an unknown type, and large: it is waited for, or skipped.
    """
    decoder = FrameDecoder()

    assert [] == decoded(decoder, start)
    assert not decoder.is_between_frames


@pytest.mark.fault(32)
def test_garbage_after_a_frame_is_the_peers_mistake() -> None:
    """
    It has spoken ttrpc before.
    """
    decoder = FrameDecoder()
    with pytest.raises(WireError):
        decoded(decoder, encode_frame(1, RESPONSE, b"x") + b"Traceback (most recent call last)")


@pytest.mark.fault(32)
@given(st.binary(max_size=300))
def test_garbage_never_does_worse_than_an_error(garbage: bytes) -> None:
    """
    Whatever arrives, it is frames or a typed error, and never more bytes than came.
    """
    with suppress(WireError, WrongProtocol):
        out = decoded(FrameDecoder(max_message_size=LIMIT), garbage)

        assert sum(len(frame.message) for frame in out if isinstance(frame, Frame)) <= len(garbage)


@given(st.lists(frames, max_size=2), st.binary(max_size=60), st.integers(0, 200))
def test_both_ways_to_take_frames_give_the_same_frames_and_the_same_error(
    sent: list[Frame], garbage: bytes, cut: int
) -> None:
    """
    Also for what stands before and behind the place where it goes wrong.
    """
    wire = b"".join(map(encoded, sent)) + garbage

    assert end_of(decoded, wire[:cut], wire[cut:]) == end_of(taken, wire[:cut], wire[cut:])
    assert end_of(decoded, wire[:cut], wire[cut:]) == end_of(viewed, wire[:cut], wire[cut:])


def end_of(all_of: Callable[..., list[Frame | Oversize]], *portions: bytes) -> object:
    """
    The frames in portions of bytes, or the error and its words.
    """
    try:
        return all_of(FrameDecoder(max_message_size=LIMIT), *portions)
    except (WireError, WrongProtocol) as error:
        return type(error), str(error)
