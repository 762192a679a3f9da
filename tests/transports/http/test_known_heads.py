"""
Heads that are known: an answer that is recognised is the one that would have been parsed.
"""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora.errors import RemoraError
from remora_http._client._answer_reader import AnswerReader
from remora_http._client._known_heads import KnownHeads

LENGTHS = [b"content-length: 3", b"content-length: 0", b"transfer-encoding: chunked", b"x-none: 1"]
OTHERS = [b"content-type: text/plain", b"connection: close", b"content-encoding: gzip", b"x-a: 1", b"x-request-id: 1"]
STARTS = [b"HTTP/1.1 200 OK", b"HTTP/1.0 200 OK", b"HTTP/1.1 404 No", b"HTTP/1.1 100 Go on", b"\r\n\r\nHTTP/1.1 200 OK"]
IDS = [b"", b"a1\r\n", b"b2\r\n", b"b\tc\r\n", b"c3\r\n folded\r\n", b"d4\r\nconnection: close\r\n"]
BODIES = [b"{1}", b"{2}", b"", b"{", b"{3}\r\n", b"{4}{", b"3\r\n{5}\r\n0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]
RESTS = [(id_ and b"x-request-id: " + id_) + b"\r\n" + body for body in BODIES for id_ in IDS]

heads = st.builds(
    lambda start, length, others: b"%b\r\n%b\r\n" % (start, b"\r\n".join([length, *others])),
    st.sampled_from(STARTS),
    st.sampled_from(LENGTHS),
    st.lists(st.sampled_from(OTHERS), max_size=2),
)


def outcome(answer: bytes, known: KnownHeads) -> object:
    """All that a reader says of an answer in one piece."""
    reader = AnswerReader("peer", 4000, known)
    try:
        is_complete = reader.feed(memoryview(answer))
    except RemoraError as error:
        return type(error), str(error)
    if not is_complete:
        return reader.has_begun
    try:
        found = reader.outcome()
    except RemoraError as error:
        return type(error), str(error), reader.is_reusable
    return found.status, dict(found.headers) | {"x-request-id": ""}, found.own, found.body, reader.is_reusable


@given(heads)
def test_known_answers_are_read_as_if_they_were_new(head: bytes) -> None:
    """Whatever the server has sent before, well-formed or not."""
    known = KnownHeads()
    for rest in RESTS:
        assert outcome(head + rest, KnownHeads()) == outcome(head + rest, known)


def test_a_compressed_body_as_long_as_its_content_is_decompressed_each_time() -> None:
    """Though its head says how many bytes there are."""
    body = next(found for size in range(99) if len(found := gzip.compress(b"x" * size)) == size)
    answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\ncontent-encoding: gzip\r\n\r\n%b" % (len(body), body)
    known = KnownHeads()

    assert outcome(answer, KnownHeads()) == outcome(answer, known) == outcome(answer, known)


def test_blank_lines_before_an_answer_are_no_head() -> None:
    """They are skipped."""
    known = KnownHeads()
    outcome(b"\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{1}", known)

    assert known.recognise(memoryview(b"\r\n\r\nHTT")) is None


@pytest.mark.parametrize("size", [3, 2000])
def test_an_answer_with_another_body_and_id_is_recognised(size: int) -> None:
    """And nobody can change what the next one says about itself."""
    known = KnownHeads()
    head = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nx-a: 1\r\nx-request-id: " % size
    outcome(head + b"a1\r\n\r\n" + b"1" * size, known)
    found = known.recognise(memoryview(head + b"b2\r\n\r\n" + b"2" * size))
    assert found is not None
    assert b"2" * size == found.body
    found.own["x-a"] = "2"  # type: ignore[index]

    again = known.recognise(memoryview(head + b"c3\r\n\r\n" + b"3" * size))
    assert again is not None
    assert {"x-a": "1"} == again.own
    assert {"content-length": str(size), "x-a": "1"} == again.headers


def test_what_is_remembered_is_bounded() -> None:
    """However many heads a server invents, and however long they are."""
    known = KnownHeads()
    for number in range(1000):
        outcome(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-a: %d\r\n\r\n" % number, known)
    long = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-a: %b\r\n\r\n" % (b"x" * 1000)
    outcome(long, known)

    assert len(known._known) <= 64
    assert known.recognise(memoryview(long)) is None
