"""
Requests by their bytes alone: bounded in every direction, in order, and never two readings of the same bytes.
"""

from __future__ import annotations

import gc
import gzip
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora_http._body import BadEncoding, BodyTooLarge, UnknownEncoding
from remora_http._server._call import read_call
from remora_http._server._request_reader import BadRequest, Request, RequestReader

LIMIT = 100
POST = b"POST /a.B/c%20d?x=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\n{\r\n1\r\n}\r\n0\r\nX-Trailer: 1\r\n\r\n"
HEAD = b"POST / HTTP/1.1\r\nContent-Length: %d\r\n"
LONG = b"X: %b\r\n" % (b"x" * 1000) * 70


def read(*pieces: bytes) -> RequestReader:
    """A reader that has been fed."""
    reader = RequestReader(LIMIT)
    for piece in pieces:
        reader.feed(piece)
    return reader


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_requests_may_arrive_in_any_pieces(size: int) -> None:
    """One after the other, in order."""
    data = POST + CHUNKED + POST
    reader = read(*[data[at : at + size] for at in range(0, len(data), size)])

    first, second, third = reader.requests
    assert Request("POST", "/a.B/c d", {"host": "x", "content-length": "2"}, {}, b"{}", None, is_last=False) == first
    assert ("/a", b"{}", False) == (second.path, second.body, "x-trailer" in second.headers)
    assert first == third
    assert (False, False) == (reader.is_amid, reader.is_ended)


@pytest.mark.parametrize(
    "request_",
    [
        POST.replace(b"1.1", b"1.0"),
        POST.replace(b"Host", b"Connection: close\r\nHost"),
    ],
)
def test_after_the_last_request_nothing_is_read(request_: bytes) -> None:
    """When the client says so, or is too old to say."""
    for reader in (read(request_), read(request_ + POST)):
        (request,) = reader.requests
        assert (b"{}", None) == (request.body, request.problem)
        assert (True, True) == (request.is_last, reader.is_ended)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/", "/"),
        (b"/a?b=/c", "/a"),
        (b"/%C3%A4%ff", "/\u00e4\ufffd"),
        (b"*", "*"),
        (b"http://x/a/b?c", "/a/b"),
        (b"http://x", "/"),
    ],
)
def test_the_path_is_that_of_any_form_of_target(target: bytes, path: str) -> None:
    """As proxies write it too; what is no UTF-8 is replaced."""
    (request,) = read(b"OPTIONS %b HTTP/1.1\r\n\r\n" % target).requests

    assert (path, None) == (request.path, request.problem)


@pytest.mark.parametrize("size", [1, 1000])
def test_an_offer_to_speak_something_else_is_declined(size: int) -> None:
    """Java's client makes it with every first request."""
    data = POST.replace(b"Host", b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHost") + POST
    reader = read(*[data[at : at + size] for at in range(0, len(data), size)])

    first, second = reader.requests
    assert (b"{}", b"{}", None) == (first.body, second.body, first.problem)
    assert not reader.is_ended


def test_an_offer_in_http_1_0_is_declined_in_http_1_0() -> None:
    """The connection ends with its answer, as the client expects."""
    offer = POST.replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"Host", b"Connection: upgrade\r\nUpgrade: h2c\r\nHost")
    reader = read(offer + POST)

    (request,) = reader.requests
    assert (b"{}", None) == (request.body, request.problem)
    assert (True, True) == (request.is_last, reader.is_ended)


def test_an_offer_with_a_large_body_is_declined_too() -> None:
    """What follows the head in the same bytes is the body."""
    offer = b"POST /echo HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 200000\r\n\r\n"
    reader = RequestReader(1 << 20)
    reader.feed(offer + b"x" * 200_000)

    (request,) = reader.requests
    assert (200_000, None) == (len(request.body), request.problem)


def test_offers_without_end_are_the_end() -> None:
    """Each is read twice, so a thousand in one packet would cost a million."""
    offer = POST.replace(b"Host", b"Connection: upgrade\r\nUpgrade: h2c\r\nHost")
    reader = read(offer * 1000)

    assert len(reader.requests) <= 5
    assert reader.is_ended


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"garbage\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
        (b"POST / HTTP/1.1\r\nX: " + b"x" * 70_000, 431),
        (b"POST /" + b"x" * 70_000, 431),
        (b"CONNECT x:1 HTTP/1.1\r\n\r\n", 501),
        (b"POST / HTTP/1.1\r\nContent-Length: +2\r\n\r\n{}", 400),
        (b"POST / HTTP/1.1\r\nContent-Length: 2, 2\r\n\r\n{}", 400),
        (b"POST / HTTP/1.1\r\nX: a\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\nContent-Length: 2\n\n{}", 400),
        (b"POST / HTTP/1.1\r\nX: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\n{}\n0\n\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2;a\n{}\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", 400),
        (b"POST / HTTP/1.1\r\nX: a\x1b[31m\r\n\r\n", 400),
    ],
)
def test_what_is_no_request_is_the_last_thing_that_is_read(data: bytes, status: int) -> None:
    """Also where two readers could disagree about its length, and when it never ends."""
    reader = read(data, POST)

    (request,) = reader.requests
    assert reader.is_ended
    assert isinstance(request.problem, BadRequest)
    assert (status, True) == (request.problem.status, request.is_last)


def test_a_head_may_have_64_kibibytes() -> None:
    """One byte more is refused."""
    start = b"POST / HTTP/1.1\r\nX: "
    reader = read(start + b"x" * (64 * 1024 - len(start)))

    assert not reader.is_ended
    reader.feed(b"x")
    assert isinstance(reader.requests[0].problem, BadRequest)
    assert 431 == reader.requests[0].problem.status


@pytest.mark.parametrize("size", [1, 1000, 16_000, 70_000, 200_000])
@pytest.mark.parametrize("rest", [b"", b"Content-Length: 2\r\n\r\n{}", b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"])
@pytest.mark.parametrize("start", [b"POST /%b HTTP/1.1\r\n" % (b"x" * 70_000), b"POST / HTTP/1.1\r\n" + LONG])
def test_a_larger_head_is_refused_in_any_pieces(start: bytes, rest: bytes, size: int) -> None:
    """Whether what follows arrives with it or not."""
    data = start + rest
    reader = read(*[data[at : at + size] for at in range(0, len(data), size)])

    (request,) = reader.requests
    assert isinstance(request.problem, BadRequest)
    assert 431 == request.problem.status
    assert reader.is_ended


def test_only_what_is_no_body_counts_as_head() -> None:
    """Neither a body in many pieces does, nor the requests before it."""
    reader = RequestReader(100_000)
    reader.feed(HEAD % 100_000 + b"\r\n")
    for _ in range(100):
        reader.feed(b"x" * 1000)
    many = read(POST * 2000 + POST[:10])

    assert (100_000, None) == (len(reader.requests[0].body), reader.requests[0].problem)
    assert (2000, False) == (len(many.requests), many.is_ended)


def test_trailers_without_end_are_refused() -> None:
    """They are no body, and nobody wants them."""
    head = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n"
    reader = read(head, *[b"X: " + b"x" * 997 + b"\r\n"] * 100)

    assert isinstance(reader.requests[0].problem, BadRequest)


def test_a_body_over_the_limit_is_skipped() -> None:
    """With a little patience: the connection serves the next request."""
    reader = read(HEAD % 200 + b"\r\n" + b"x" * 200, POST)

    refused, good = reader.requests
    assert isinstance(refused.problem, BodyTooLarge)
    assert (b"", None, b"{}") == (refused.body, good.problem, good.body)


@pytest.mark.parametrize("pieces", [[b"x" * 201], [b"x" * 150, b"x" * 51]])
def test_a_body_far_over_the_limit_ends_the_connection(pieces: list[bytes]) -> None:
    """The answer is there before the body is."""
    reader = read(HEAD % 10**9 + b"\r\n", *pieces)

    assert isinstance(reader.requests[0].problem, BodyTooLarge)
    assert (True, True) == (reader.requests[0].is_last, reader.is_cut)


@pytest.mark.parametrize(
    ("encoding", "body", "problem"),
    [
        (b"gzip", gzip.compress(b"{}", mtime=0), None),
        (b"gzip", gzip.compress(b"x" * 101, mtime=0), BodyTooLarge),
        (b"gzip", gzip.compress(b"{}", mtime=0)[:-1], BadEncoding),
        (b"gzip", b"{}", BadEncoding),
        (b"br", b"{}", UnknownEncoding),
    ],
)
def test_a_compressed_body_is_decompressed_within_the_limit(
    encoding: bytes, body: bytes, problem: type[Exception] | None
) -> None:
    """Or it is said what is wrong with it."""
    reader = read(HEAD % len(body) + b"Content-Encoding: " + encoding + b"\r\n\r\n" + body, POST)

    request, following = reader.requests
    assert isinstance(request.problem, problem or type(None))
    assert (b"" if problem else b"{}", b"{}") == (request.body, following.body)


def test_a_client_that_sends_much_ahead_is_read_no_further() -> None:
    """Four small requests may wait, or as much as one may have."""
    big, small = HEAD % LIMIT + b"\r\n" + b"x" * LIMIT, POST
    fullness = [read(*[request] * count).is_full for request in (big, small) for count in (1, 2, 3, 4)]

    assert [False, True, True, True, False, False, False, True] == fullness


def test_a_client_may_wait_for_a_sign() -> None:
    """Before it sends a body; one that is too large it need not send at all."""
    reader = read(HEAD % 2 + b"Expect: 100-continue\r\n\r\n")
    assert reader.wants_continue
    reader.feed(b"{")
    assert not reader.wants_continue
    reader.feed(b"}")
    refused = read(HEAD % 101 + b"Expect: 100-continue\r\n\r\n")

    assert (False, b"{}") == (reader.wants_continue, reader.requests[0].body)
    assert (False, True) == (refused.wants_continue, refused.requests[0].is_last)
    assert isinstance(refused.requests[0].problem, BodyTooLarge)


@pytest.mark.parametrize(
    ("headers", "wants_continue", "problem"),
    [
        (b"Content-Length: 100\r\nExpect: 100-Continue", True, None),
        (b"Transfer-Encoding: chunked\r\nExpect: 100-continue", True, None),
        (b"Content-Length: 2\r\nExpect: payment", False, None),
        (b"Content-Length: 2\r\nContent-Encoding: br\r\nExpect: 100-continue", False, UnknownEncoding),
    ],
)
def test_only_a_body_that_will_be_read_is_asked_for(
    headers: bytes, wants_continue: bool, problem: type[Exception] | None
) -> None:
    """The largest is, and one whose size is not known yet; other expectations are left alone."""
    reader = read(b"POST / HTTP/1.1\r\n" + headers + b"\r\n\r\n")

    assert wants_continue is reader.wants_continue
    assert [problem] == [type(request.problem) for request in reader.requests] if problem else not reader.requests


@pytest.mark.parametrize(("pieces", "statuses"), [([], [408]), ([POST], [None]), ([POST[:9]], [408])])
def test_a_connection_that_is_given_up_says_so_unless_all_is_answered(
    pieces: list[bytes], statuses: list[int | None]
) -> None:
    """Nothing is read any more."""
    reader = read(*pieces)
    reader.expire()
    reader.feed(POST)

    assert statuses == [getattr(request.problem, "status", None) for request in reader.requests]
    assert (True, True, False) == (reader.is_ended, reader.is_cut, reader.is_amid)


def test_a_request_that_is_too_slow_is_given_up() -> None:
    """What came before it is answered."""
    reader = read(POST + POST[:-1])
    reader.expire()

    good, late = reader.requests
    assert good.problem is None
    assert isinstance(late.problem, BadRequest)
    assert 408 == late.problem.status


PARTS = st.sampled_from([POST, CHUNKED, HEAD, b"\r\n", b"0", b"{}", b"Expect: 100-continue\r\n", b"GET * HTTP/1.1\r\n"])


@given(st.lists(PARTS | st.binary()))
def test_any_bytes_are_requests_or_the_end_of_them(pieces: list[bytes]) -> None:
    """Whatever a client sends; only the last request ends the connection, and no body is over the limit."""
    reader = read(*pieces)

    assert all(len(request.body) <= LIMIT for request in reader.requests)
    assert not any(request.is_last for request in list(reader.requests)[:-1])
    assert reader.is_ended or not any(request.is_last for request in reader.requests)


def test_what_clients_make_up_is_not_kept() -> None:
    """Long paths, names and types of payloads would be some hundred MiB, for ever, by a thousand requests."""
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(300):
        word = b"%d" % number + b"x" * 20_000
        (request,) = read(b"POST /%b HTTP/1.1\r\nContent-Type: %b\r\n%b: 1\r\n\r\n" % (word, word, word)).requests
        read_call(request.path, "", request.headers, b"", now=0.0)
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert after - before < 1_000_000
