"""
Answers by their bytes alone: bounded in every direction, and never more than one for one request.
"""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora.errors import ConnectionLost, InvalidReply, MessageTooLarge, RemoraError, WireError, WrongProtocol
from remora_http._client._answer_reader import AnswerReader
from remora_http._failure import Answer

LIMIT = 100
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\n{\r\n1\r\n}\r\n0\r\nX-Trailer: 1\r\n\r\n"


def read(*pieces: bytes, limit: int = LIMIT) -> tuple[AnswerReader, bool]:
    """A reader that has been fed, and whether it has an answer."""
    reader = AnswerReader("peer", limit)
    for piece in pieces:
        if reader.feed(memoryview(piece)):
            return reader, True
    return reader, False


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        CHUNKED,
        b"HTTP/1.1 100 Continue\r\nX: 1\r\n\r\n" + OK,
        b"HTTP/1.1 199 Wait\r\n\r\n" * 32 + OK,
        OK.replace(b"\r\n", b"\n"),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_answer_may_arrive_in_any_pieces(answer: bytes, size: int) -> None:
    """Measured, in chunks, after an interim one; its connection can be used again."""
    reader, is_complete = read(*[answer[at : at + size] for at in range(0, len(answer), size)])

    assert is_complete
    assert reader.is_reusable
    assert (200, b"{}") == (reader.outcome().status, reader.outcome().body)
    assert reader.outcome().headers in ({"content-length": "2"}, {"transfer-encoding": "chunked"})


def test_a_reader_reads_one_answer_after_the_other() -> None:
    """Nothing of the last one is left."""
    reader, _ = read(OK)
    reader.begin()

    assert not reader.has_begun
    assert reader.feed(memoryview(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\nX-A: 1\r\nX-A: 2\r\n\r\n"))
    headers = {"content-length": "0", "x-a": "1, 2"}
    assert Answer(status=404, headers=headers, own={"x-a": "1, 2"}, body=b"") == reader.outcome()


@pytest.mark.parametrize(
    "answer",
    [
        OK + OK,
        OK + b"x",
        OK.replace(b"1.1", b"1.0"),
        OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + b"x",
        b"HTTP/1.1 101 Other\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    ],
)
def test_a_connection_is_not_used_again_after_more_than_an_answer(answer: bytes) -> None:
    """Or when the server says so, or speaks something else from now on."""
    reader, is_complete = read(answer)

    assert is_complete
    assert not reader.is_reusable
    assert isinstance(reader.outcome(), Answer)


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    """As in the oldest of times."""
    reader, is_complete = read(b"HTTP/1.1 200 OK\r\n\r\n{", b"}")
    reader.feed_eof()

    assert not is_complete
    assert (True, False) == (reader.is_complete, reader.is_reusable)
    assert b"{}" == reader.outcome().body


def test_a_connection_that_ends_after_its_answer_is_not_used_again() -> None:
    """The answer stays."""
    reader, _ = read(OK)
    reader.feed_eof()

    assert not reader.is_reusable
    assert b"{}" == reader.outcome().body


@pytest.mark.parametrize(
    ("beginning", "when"),
    [(b"", "without an answer"), (OK[:10], "amid its answer"), (OK[:-1], "amid its"), (CHUNKED[:-2], "amid its")],
)
def test_an_answer_that_breaks_off_is_a_lost_connection(beginning: bytes, when: str) -> None:
    """Wherever it does."""
    reader, _ = read(*([beginning] if beginning else []))

    with pytest.raises(ConnectionLost, match=f"peer closed the connection {when}"):
        reader.feed_eof()


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"SSH-2.0-OpenSSH_9\r\n", WrongProtocol),
        (b"HTTP/1.1 200 OK\r\nbroken header\r\n\r\n", WrongProtocol),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", WrongProtocol),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", WrongProtocol),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000, WrongProtocol),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", WireError),
    ],
)
def test_what_is_not_http_is_an_error(answer: bytes, expected: type[RemoraError]) -> None:
    """Also where two readers could disagree about its length, and when it never ends."""
    with pytest.raises(expected):
        read(answer)


def test_a_head_may_have_64_kibibytes() -> None:
    """One byte more is an error."""
    start = b"HTTP/1.1 200 OK\r\nX: "
    reader, _ = read(start + b"x" * (64 * 1024 - len(start)))

    with pytest.raises(WrongProtocol, match="64 KiB"):
        reader.feed(memoryview(b"x"))


@pytest.mark.parametrize("size", [1, 1000, 16_000, 70_000, 200_000])
@pytest.mark.parametrize("rest", [b"", OK.partition(b"\r\n")[2]])
def test_a_larger_head_is_an_error_in_any_pieces(size: int, rest: bytes) -> None:
    """Whether what follows arrives with it or not."""
    answer = b"HTTP/1.1 200 OK\r\n" + b"X: %b\r\n" % (b"x" * 1000) * 70 + rest

    with pytest.raises(WrongProtocol, match="64 KiB"):
        read(*[answer[at : at + size] for at in range(0, len(answer), size)])


def test_a_body_in_many_pieces_is_no_head() -> None:
    """However long it is."""
    reader, is_complete = read(OK[:-2].replace(b": 2", b": 100000"), *[b"x" * 1000] * 100, limit=100_000)

    assert is_complete
    assert 100_000 == len(reader.outcome().body)


def test_trailers_without_end_are_an_error() -> None:
    """They are no body, and nobody wants them."""
    reader, _ = read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n")

    with pytest.raises(WireError, match="64 KiB"):
        for _ in range(100):
            reader.feed(memoryview(b"X-A: " + b"x" * 1000 + b"\r\n"))


def test_interim_answers_without_end_are_an_error() -> None:
    """Though each of them is as good as the other."""
    reader, is_complete = read(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 33)

    assert is_complete
    assert not reader.is_reusable
    with pytest.raises(InvalidReply, match="interim"):
        reader.outcome()


@pytest.mark.parametrize("encoding", [b"", b"Content-Encoding: gzip\r\n"])
def test_a_body_over_the_limit_ends_the_reading(encoding: bytes) -> None:
    """Plain or compressed; of an error the beginning is kept."""
    content = gzip.compress(b"x" * 1000) if encoding else b"x" * 1000
    head = b"HTTP/1.1 %d Status\r\n" + encoding + b"Content-Length: %d\r\n\r\n"
    good, _ = read(head % (200, len(content) + 1) + content)
    bad, _ = read(head % (500, len(content) + 1) + content)

    assert (good.is_complete, good.is_reusable) == (True, False)
    with pytest.raises(MessageTooLarge, match="100 bytes"):
        good.outcome()
    assert b"x" * LIMIT == bad.outcome().body


@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1])
@pytest.mark.parametrize("encoding", [b"", b"Content-Encoding: gzip\r\n"])
def test_a_body_of_the_size_of_the_limit_is_read(encoding: bytes, size: int) -> None:
    """One byte more is too much, of an error too; its beginning may have come in two pieces."""
    content = gzip.compress(b"x" * size) if encoding else b"x" * size
    for status in (200, 500):
        head = b"HTTP/1.1 %d Status\r\n%bContent-Length: %d\r\n\r\n" % (status, encoding, len(content))
        reader, is_complete = read(head, content[:50], content[50:])

        assert is_complete
        if status == 500 or size == LIMIT:
            assert b"x" * LIMIT == reader.outcome().body
        else:
            with pytest.raises(MessageTooLarge, match="100 bytes"):
                reader.outcome()


@pytest.mark.parametrize(
    ("encoding", "content"),
    [(b"gzip", b"no gzip"), (b"gzip", gzip.compress(b"{}", mtime=0)[:-1]), (b"br", b"{}"), (b"br", b"")],
)
def test_a_body_that_cannot_be_decoded_is_no_reply(encoding: bytes, content: bytes) -> None:
    """Whether it is in no such encoding, is cut off, or in one that nobody asked for."""
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (encoding, len(content))
    reader, is_complete = read(head + content)

    assert is_complete
    with pytest.raises(InvalidReply, match="cannot be decoded"):
        reader.outcome()


@given(st.lists(st.sampled_from([OK, CHUNKED, b"HTTP/1.1 200 OK\r\n\r\n", b"\r\n", b"0", b"{}"]) | st.binary()))
def test_any_bytes_end_in_an_answer_or_a_typed_error(pieces: list[bytes]) -> None:
    """Whatever the other side sends, and a complete answer stays what it is."""
    reader = AnswerReader("peer", LIMIT)
    try:
        for piece in pieces:
            if reader.feed(memoryview(piece)):
                break
        reader.feed_eof()
        answer = reader.outcome()
    except RemoraError:
        return

    assert len(answer.body) <= LIMIT
    assert not reader.is_reusable
