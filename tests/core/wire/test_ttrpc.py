"""
The messages of ttrpc.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import pairwise
from random import Random

import pytest
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st

from remora import Call, Code, DeadlineExceeded, PluginError, RemoraError, Reply
from remora.wire import (
    LARGE,
    PROTOBUF,
    REQUEST,
    RESPONSE,
    FrameDecoder,
    Oversize,
    _ttrpc,
    decode_request,
    decode_response,
    decode_status,
    encode_error,
    encode_frame,
    encode_reply,
    encode_request,
    encode_status,
    lift_from_request,
    lift_from_response,
    reply_parts,
    request_parts,
)
from tests.growth import grows_with_size_only

text = st.text(max_size=20)
names = st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True).filter(
    lambda name: name not in {"content-type", "x-request-id"}
)
headers = st.dictionaries(names, text, max_size=4)
calls = st.builds(
    Call,
    service=text,
    method=text,
    payload=st.binary(max_size=200),
    content_type=text,
    headers=headers,
    request_id=text,
)


REQUEST_BYTES = bytes.fromhex(
    "0a 01 53"  # service
    "12 01 6d"  # method
    "1a 01 78"  # payload
    "20 80 c0 8d b7 01"  # timeout_nano
    "2a 13 0a 0c 63 6f 6e 74 65 6e 74 2d 74 79 70 65 12 03 61 2f 62"  # metadata: content-type
    "2a 11 0a 0c 78 2d 72 65 71 75 65 73 74 2d 69 64 12 01 72"  # metadata: x-request-id
    "2a 06 0a 01 6b 12 01 76"  # metadata: k
)
RESPONSE_BYTES = bytes.fromhex("12 01 78 2a 13 0a 0c") + b"content-type" + bytes.fromhex("12 03") + b"a/b"
UNKNOWN = bytes.fromhex("7a 02 0a 00")


def test_a_request_has_the_fields_of_containerds() -> None:
    """
    In their order, and is read in any other too; unknown fields are skipped.
    """
    call = Call(
        service="S", method="m", payload=b"x", content_type="a/b", headers={"k": "v"}, request_id="r", deadline=100.384
    )
    ends = [0, 3, 6, 9, 15, 36, 55, len(REQUEST_BYTES)]
    parts = [REQUEST_BYTES[start:end] for start, end in pairwise(ends)]

    assert REQUEST_BYTES == encode_request(call, 100.0)
    assert replace(call, deadline=0.384) == decode_request(REQUEST_BYTES, 0.0)
    assert replace(call, deadline=0.384) == decode_request(UNKNOWN + b"".join(reversed(parts)), 0.0)


def test_a_response_has_the_fields_of_containerds() -> None:
    """
    In their order, and is read in any other too; unknown fields are skipped, and the last payload is the one.
    """
    reply = Reply(payload=b"x", content_type="a/b")
    refused = decode_response(b"\x0a\x02\x08\x05", "")

    assert RESPONSE_BYTES == encode_reply(reply)
    assert reply == decode_response(RESPONSE_BYTES, "")
    assert reply == decode_response(UNKNOWN + RESPONSE_BYTES[3:] + b"\x12\x01y" + RESPONSE_BYTES[:3], "")
    assert reply == decode_response(b"\x12\x01y" + RESPONSE_BYTES, "")
    assert isinstance(refused, PluginError)
    assert Code.NOT_FOUND is refused.code


def test_a_message_that_is_cut_off_is_read_no_further() -> None:
    """
    Wherever it is cut: the quick way finds what the thorough one does.
    """
    for end in range(len(REQUEST_BYTES)):
        message = REQUEST_BYTES[:end]
        assert outcome(partial(_ttrpc._any_request, message, 0.0)) == outcome(partial(decode_request, message, 0.0))
    for end in range(len(RESPONSE_BYTES)):
        message = RESPONSE_BYTES[:end]
        assert told(partial(_ttrpc._decode_any_response, message, "")) == told(partial(decode_response, message, ""))


@pytest.mark.parametrize("size", [*range(0x6F, 0x82), 0x100, 0x3FFF, 0x4000])
def test_texts_and_payloads_are_read_where_their_sizes_take_one_byte_more(size: int) -> None:
    """
    As are entries of metadata, which are a little longer than what is in them.
    """
    word = "w" * size
    call = Call(service=word, method=word, payload=b"x" * size, headers={"k": word}, request_id=word)
    reply = Reply(payload=b"x" * size, headers={"k": word})

    assert call == decode_request(encode_request(call, 0.0), 0.0)
    for sent in (reply, replace(reply, headers={})):
        assert sent == decode_response(encode_reply(sent), sent.content_type)


def test_an_error_of_the_host_travels_without_headers() -> None:
    """
    Those that a peer sends with it are skipped.
    """
    error = decode_response(encode_error(DeadlineExceeded("late")) + REQUEST_BYTES[-8:], "")

    assert isinstance(error, DeadlineExceeded)
    assert "late" == error.message


def test_of_the_formats_that_a_peer_names_the_last_is_the_one() -> None:
    """
    What else stands in an entry of metadata is skipped.
    """
    entries = b"\x2a\x13\x0a\x0ccontent-type\x12\x03a/b" + b"\x2a\x16\x0a\x0ccontent-type\x12\x03c/d\x1a\x01x"

    assert "c/d" == decode_request(entries, 0.0).content_type


@pytest.mark.parametrize(("letters", "lifted"), [(0x7F, b"x" * LARGE), (0x80, b"")])
def test_a_payload_is_lifted_from_behind_a_short_method(letters: int, lifted: bytes) -> None:
    """
    Of 127 letters at most, so that its size takes one byte.
    """
    message = encode_request(Call(service="S", method="m" * letters, payload=b"x" * LARGE), 0.0)
    rest, payload = lift_from_request(memoryview(message))

    assert lifted == payload
    assert len(rest) < LARGE or not lifted


@pytest.mark.parametrize(("named", "asked", "meant"), [("a/b", "", "a/b"), ("", "a/b", "a/b"), ("", "", PROTOBUF)])
def test_a_lifted_payload_has_the_format_of_any_other(named: str, asked: str, meant: str) -> None:
    """
    That of the request where the reply names none.
    """
    reply = Reply(payload=b"x" * LARGE, content_type=named)
    message = encode_reply(reply)
    rest, payload = lift_from_response(memoryview(message))

    assert reply.payload == payload
    for read in (decode_response(rest, asked, payload), decode_response(message, asked)):
        assert replace(reply, content_type=meant) == read


@pytest.mark.parametrize("lift", [lift_from_request, lift_from_response])
def test_a_size_without_an_end_is_left_to_the_decoder(lift: Callable[[memoryview], tuple[bytes, bytes]]) -> None:
    """
    Which says what is wrong.
    """
    for key in (b"\x12", b"\x1a"):
        message = key + b"\xff" * 11
        assert (message, b"") == lift(memoryview(message))


@given(calls)
def test_a_call_is_read_as_it_was_written(call: Call) -> None:
    """
    All that travels.
    """
    assert call == decode_request(encode_request(call, 0.0), 0.0)


@given(calls.flatmap(lambda call: st.tuples(st.just(encode_request(call, 0.0)), st.integers(0, 400))), st.binary())
def test_the_quick_reading_of_a_request_is_the_same(written: tuple[bytes, int], garbage: bytes) -> None:
    """
    Also of one that is cut off, or goes on with something else.
    """
    message = written[0][: written[1]] + garbage

    assert outcome(lambda: _ttrpc._any_request(message, 0.0)) == outcome(lambda: decode_request(message, 0.0))


@given(calls, st.integers(0, 400), st.binary())
def test_a_request_without_its_payload_and_the_payload_are_the_request(call: Call, cut: int, garbage: bytes) -> None:
    """
    Whatever is cut off or follows: a second payload, a method longer than usual.
    """
    message = encode_request(call, 0.0)[:cut] + garbage
    rest, payload = lift_from_request(memoryview(bytearray(message)))

    assert b"".join(request_parts(call, 0.0)) == encode_request(call, 0.0)
    assert outcome(lambda: decode_request(message, 0.0)) == outcome(lambda: decode_request(rest, 0.0, payload))


@given(st.binary(max_size=200), text, headers, st.integers(0, 400), st.binary())
def test_a_response_without_its_payload_and_the_payload_are_the_response(
    payload: bytes, content_type: str, with_headers: dict[str, str], cut: int, garbage: bytes
) -> None:
    """
    Whatever is cut off or follows: a second payload, the status of an error.
    """
    reply = Reply(payload=payload, content_type=content_type, headers=with_headers)
    message = encode_reply(reply)[:cut] + garbage
    rest, lifted = lift_from_response(memoryview(bytearray(message)))

    assert b"".join(reply_parts(reply)) == encode_reply(reply)
    assert told(lambda: decode_response(message, "a/b")) == told(lambda: decode_response(rest, "a/b", lifted))


SIZES = st.sampled_from([0, 9, LARGE - 40, LARGE, LARGE + 1, 3 * LARGE])


@given(st.lists(st.lists(SIZES, max_size=4), min_size=2, max_size=3), st.integers(0, 1 << 32).map(Random))
def test_messages_of_several_connections_stay_apart_though_all_arrive_in_the_same_memory(
    sizes: list[list[int]], rng: Random
) -> None:
    """
    Cut anywhere and mixed in any order: nobody keeps a view of what the next piece overwrites.
    """
    landing = memoryview(bytearray(4 * LARGE))
    sent = [[rng.randbytes(size) for size in each] for each in sizes]
    wires = [memoryview(b"".join(map(framed, each))) for each in sent]
    decoders = [FrameDecoder() for _ in wires]
    arrived: list[list[bytes]] = [[] for _ in wires]
    while left := [number for number, wire in enumerate(wires) if wire]:
        number = rng.choice(left)
        size = min(len(wires[number]), rng.choice([1, 9, LARGE - 1, LARGE, len(landing), rng.randint(1, len(landing))]))
        landing[:size], wires[number] = wires[number][:size], wires[number][size:]
        for frame in decoders[number].frames(landing[:size]):
            assert not isinstance(frame, Oversize)
            arrived[number].append(payload_of(frame[1], frame[2]))

    assert sent == arrived


def framed(payload: bytes) -> bytes:
    """
    A request with a payload, or the response to it.
    """
    if len(payload) % 2:
        return encode_frame(1, REQUEST, encode_request(Call(service="S", method="m", payload=payload), 0.0))
    return encode_frame(1, RESPONSE, encode_reply(Reply(payload=payload)))


def payload_of(kind: int, message: bytes | memoryview) -> bytes:
    """
    As a channel and a server take it out.
    """
    if kind == REQUEST:
        rest, payload = (message, b"") if isinstance(message, bytes) else lift_from_request(message)
        return decode_request(rest, 0.0, payload).payload
    rest, payload = (message, b"") if isinstance(message, bytes) else lift_from_response(message)
    reply = decode_response(rest, "", payload)
    assert isinstance(reply, Reply)
    return reply.payload


@pytest.mark.parametrize(
    "message",
    [
        bytes.fromhex("12") + b"\x81\x01" + b"m" * 129 + bytes.fromhex("1a 01 78"),
        bytes.fromhex("1a 01 78 1a 01 79"),
        bytes.fromhex("1a 01 78 1a 00"),
        bytes.fromhex("0a 01 61 1a 01 78 12 01 62"),
    ],
)
def test_what_stands_where_is_usual_to_nobody_is_read_the_same_without_its_payload(message: bytes) -> None:
    """
    A method of many letters, two payloads, an empty one behind another, a method behind the payload.
    """
    rest, payload = lift_from_request(memoryview(message))

    assert decode_request(message, 0.0) == decode_request(rest, 0.0, payload)


def told(read: Callable[[], Reply | RemoraError]) -> object:
    """
    What is read, so that it can be compared; None when it is no response.
    """
    try:
        found = read()
    except ValueError:
        return None
    return found if isinstance(found, Reply) else (type(found), str(found), getattr(found, "headers", None))


def outcome(read: Callable[[], Call]) -> Call | None:
    """
    What is read; None when it is no request.
    """
    try:
        return read()
    except ValueError:
        return None


@given(st.binary(max_size=200), text.filter(bool), headers)
def test_a_reply_is_read_as_it_was_written(payload: bytes, content_type: str, with_headers: dict[str, str]) -> None:
    """
    All that travels.
    """
    reply = Reply(payload=payload, content_type=content_type, headers=with_headers)

    assert reply == decode_response(encode_reply(reply), "text/other")


@pytest.mark.parametrize("name", ["x-request-id", "content-type", "x-tenant"])
def test_an_entry_that_is_cut_off_is_no_message(name: str) -> None:
    """
    Wherever it is cut: the length of the entry is right, and what is in it ends too soon.
    """
    entry = b"\n%c%b\x12\x01r" % (len(name), name.encode())
    for end in range(len(entry)):
        message = b"*%c%b" % (end, entry[:end])
        for read in (partial(decode_request, message, 0.0), partial(decode_response, message, "")):
            with suppress(ValueError):
                read()


@given(st.sampled_from(list(Code)), text, headers, st.none() | st.floats(0, 1e9))
def test_an_error_keeps_its_code_and_message(
    code: Code, message: str, with_headers: dict[str, str], retry_after: float | None
) -> None:
    """
    Whichever it is; and when to try again, to the microsecond.
    """
    sent = PluginError(message, code=code, headers=with_headers, retry_after=retry_after)
    error = decode_response(encode_error(sent), "")

    assert isinstance(error, RemoraError)
    assert code is error.code
    assert error.retry_after == (None if retry_after is None else pytest.approx(retry_after, abs=1e-6))
    if isinstance(error, PluginError):
        assert (message, with_headers) == (error.message, error.headers)


@pytest.mark.parametrize(("seconds", "meant"), [(0.0, 0.0), (1.5, 1.5), (-3.0, 0.0), (math.inf, 1e9), (math.nan, 0.0)])
def test_when_to_try_again_is_what_googles_libraries_read(seconds: float, meant: float) -> None:
    """
    A google.rpc.RetryInfo among the details.
    """
    status = Status.FromString(encode_status(PluginError("not now", details={"a": 1}, retry_after=seconds)))
    info = RetryInfo()

    assert ["google.protobuf.Struct", "google.rpc.RetryInfo"] == [each.TypeName() for each in status.details]
    assert status.details[1].Unpack(info)
    assert meant == info.retry_delay.ToTimedelta().total_seconds()


def test_when_to_try_again_is_read_as_googles_libraries_write_it() -> None:
    """
    Also where it is negative, which asks for no other try.
    """
    for seconds in (2.25, -1.0):
        status, info = Status(code=14, message="not now"), RetryInfo()
        info.retry_delay.FromTimedelta(timedelta(seconds=seconds))
        status.details.add().Pack(info)
        error = decode_status(status.SerializeToString())

        assert error is not None
        assert seconds == pytest.approx(error.retry_after)


def test_the_deadline_travels_as_what_is_left_of_it() -> None:
    """
    The two clocks need not agree.
    """
    message = encode_request(Call(deadline=107.5), 100.0)

    assert 1007.5 == decode_request(message, 1000.0).deadline


@pytest.mark.parametrize("left", [-1.0, -0.5, 0.0, 0.0005, 0.001])
def test_a_deadline_that_is_over_still_is_one(left: float) -> None:
    """
    Also one that is nearly over. Zero would mean none; a foreign peer's negative timeout is over at once.
    """
    deadline = decode_request(encode_request(Call(deadline=left), 0.0), 5.0).deadline

    assert deadline == pytest.approx(5.0 + max(0.0, left), abs=1e-8)
    assert 4.0 == decode_request(bytes.fromhex("20 80ec94a3fcffffffff01"), 5.0).deadline


def test_a_deadline_that_never_comes_fits_into_the_message() -> None:
    """
    As the largest timeout there is, about.
    """
    deadline = decode_request(encode_request(Call(deadline=math.inf), 0.0), 0.0).deadline

    assert deadline is not None
    assert deadline > 100 * 365 * 86_400


def test_without_a_content_type_a_request_has_none_and_a_reply_has_the_requests() -> None:
    """
    As foreign peers send them.
    """
    assert "" == decode_request(b"", 0.0).content_type
    assert Reply(content_type="application/x") == decode_response(b"", "application/x")
    assert Reply(content_type=PROTOBUF) == decode_response(b"", "")


def test_repeated_metadata_is_one_header() -> None:
    """
    Joined as HTTP does; names in lower case.
    """
    twice = b"\x2a\x06\x0a\x01A\x12\x011" + b"\x2a\x06\x0a\x01a\x12\x012"

    assert {"a": "1, 2"} == decode_request(twice, 0.0).headers


@pytest.mark.parametrize("decode", [lambda data: decode_request(data, 0.0), lambda data: decode_response(data, "")])
def test_metadata_repeated_without_end_take_a_time_that_grows_with_their_number_only(
    decode: Callable[[bytes], object],
) -> None:
    """
    A message of 4 MiB held up the event loop for a minute.
    """
    assert grows_with_size_only(decode, lambda number: b"\x2a\x06\x0a\x01a\x12\x011" * number, 240_000)


def test_headers_cannot_change_what_belongs_to_the_wire() -> None:
    """
    The record's own fields win.
    """
    call = Call(content_type="a/b", request_id="r", headers={"Content-Type": "x/y", "x-request-id": "s", "K": "v"})
    read = decode_request(encode_request(call, 0.0), 0.0)

    assert ("a/b", "r", {"k": "v"}) == (read.content_type, read.request_id, read.headers)


@pytest.mark.fault(32)
@given(st.binary(max_size=100))
def test_garbage_is_a_value_error_or_a_message(garbage: bytes) -> None:
    """
    Nothing else comes out.
    """
    for decode in (lambda: decode_request(garbage, 0.0), lambda: decode_response(garbage, "")):
        with suppress(ValueError):
            assert isinstance(decode(), Call | Reply | RemoraError)
