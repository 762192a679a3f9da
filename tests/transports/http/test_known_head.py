"""
Answers that begin as the last one did: read without the parser, and never otherwise than it would read them.
"""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from remora.errors import RemoraError
from remora_http._answer_reader import AnswerReader
from remora_http._failure import Answer
from remora_http._headers import decode_headers
from remora_http._known_head import KnownHead, known_head

LIMIT = 100
HEAD = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: %b\r\nX-A: 1\r\nX-A: 2\r\n\r\n"
RAW = [(b"Server", b"x"), (b"Content-Length", b"2"), (b"X-A", b"1"), (b"X-A", b"2")]
OK = HEAD % b"2" + b"{}"

Outcome = tuple[bool, bool, Answer | type[RemoraError]]


def learn(data: bytes, raw: list[tuple[bytes, bytes]]) -> KnownHead | None:
    """What is remembered of an answer."""
    return known_head(data, raw, decode_headers(raw))


def read(reader: AnswerReader, pieces: list[bytes]) -> Outcome:
    """Whether the answer is complete, whether another may follow, and what it is."""
    reader.begin()
    try:
        for piece in pieces:
            if reader.feed(memoryview(piece)):
                break
        return reader.is_complete, reader.is_reusable, reader.outcome()
    except RemoraError as error:
        return reader.is_complete, reader.is_reusable, type(error)


def test_an_answer_with_the_same_head_is_known_by_its_bytes() -> None:
    """Whatever its length, and where it lies."""
    known = learn(OK, RAW)

    assert known is not None
    assert (b"2", b"[]") == known.split(HEAD % b"2" + b"[]")
    assert (b"0", b"") == known.split(HEAD % b"0")
    assert (b"12", b"x" * 12) == known.split(memoryview(bytearray(HEAD % b"12" + b"x" * 12)))


@pytest.mark.parametrize(
    "data",
    [
        OK[:-1],
        OK + b"x",
        OK + b"\r\n",
        OK + OK,
        HEAD % b"+2" + b"{}",
        HEAD % b" 2" + b"{}",
        HEAD % b"2_0" + b"x" * 20,
        HEAD % b"",
        HEAD % b"2\r\nContent-Length: 3" + b"{}",
        OK.replace(b"200", b"206"),
        OK.replace(b"X-A: 2", b"X-A: 3"),
        OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        HEAD[: HEAD.index(b"%b")] + b"2",
    ],
)
def test_everything_else_is_for_the_parser(data: bytes) -> None:
    """More or less than one answer, another number than digits, another head."""
    known = learn(OK, RAW)

    assert known is not None
    assert known.split(data) is None


@pytest.mark.parametrize(
    ("data", "raw"),
    [
        (b"\r\n" + OK, RAW),
        (OK.replace(b"\r\n", b"\n"), RAW),
        (OK.replace(b": 2", b":  2"), RAW),
        (OK.replace(b"200", b"201"), RAW),
        (OK.replace(b"1.1", b"1.0"), RAW),
        (OK.replace(b"OK", b"O" + b"K" * 100), RAW),
        (b"HTTP/1.1 200 OK\r\n\r\n", []),
        (OK, [*RAW, (b"Connection", b"keep-alive")]),
        (OK, [*RAW, (b"content-length", b"2")]),
    ],
)
def test_a_head_that_is_written_otherwise_is_not_remembered(data: bytes, raw: list[tuple[bytes, bytes]]) -> None:
    """Where it ends would have to be guessed, or it says more than a length."""
    assert learn(data, raw) is None


@given(
    length=st.sampled_from([b"0", b"2", b"02", b"3", b"+2", b" 2 ", b"2x", b"", b"-1", b"101", b"9" * 12]),
    line=st.sampled_from([b"", b"Connection: close\r\n", b"Content-Encoding: gzip\r\n", b"Content-Length: 2\r\n"]),
    status=st.sampled_from([b"200 OK", b"204 No", b"100 Continue", b"404 Not Found"]),
    body=st.sampled_from([b"", b"{}", b"{}\r\n", b"{}x", b"x" * 101, OK]),
    cuts=st.lists(st.integers(0, 120), max_size=3),
)
@example(length=b"2", line=b"", status=b"200 OK", body=b"{}", cuts=[])
@example(length=b"101", line=b"", status=b"200 OK", body=b"x" * 101, cuts=[])
def test_memory_changes_no_answer(length: bytes, line: bytes, status: bytes, body: bytes, cuts: list[int]) -> None:
    """A reader that knows the head, and one that has had the same answer in pieces, of which nothing is remembered."""
    message = (HEAD % length).replace(b"200 OK", status).replace(b"X-A: 2\r\n", b"X-A: 2\r\n" + line) + body
    at = sorted({0, len(message), *(cut for cut in cuts if cut < len(message))})
    pieces = [message[start:end] for start, end in pairwise(at)]
    knows, parses = AnswerReader("peer", LIMIT), AnswerReader("peer", LIMIT)
    assert read(parses, [OK[:9], OK[9:]]) == read(knows, [OK])

    assert read(parses, pieces) == read(knows, pieces)


def test_heads_that_always_differ_are_seldom_remembered_and_the_same_one_is_known_in_the_end() -> None:
    """A server that numbers its answers costs nothing more; one that ceases to do so gains."""
    reader = AnswerReader("peer", LIMIT)
    for number in range(100):
        assert read(reader, [OK.replace(b"X-A: 2", b"X-A: %d" % number)])[:2] == (True, True)
    strange = reader._strange
    for _ in range(64):
        read(reader, [OK])

    assert 100 == strange
    assert 0 == reader._strange
