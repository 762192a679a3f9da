"""
Bodies that arrive in many pieces, leave in many pieces, and are not copied behind their heads.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream
from anyio.streams.tls import TLSStream
from hypothesis import given
from hypothesis import strategies as st

from remora.errors import ConnectionLost, DeadlineExceeded
from remora.protocols import Transport
from remora.types import Call, Endpoint, Reply
from remora_http._client._answer_reader import AnswerReader
from remora_http._server._request_reader import RequestReader
from remora_http.plugin import Options, build
from tests.transports.tls import Authority

SIZES = (16 * 1024 - 1, 16 * 1024, 64 * 1024, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 3 * 1024 * 1024)
BODY = bytes(range(256)) * 256
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
ANSWER = HEAD % len(BODY) + BODY
EARLY = b"HTTP/1.1 100 Continue\r\n\r\n" + b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
SMALL = HEAD % 9 + b"measured!"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nchunks \r\n3;a=b\r\nand\r\n0\r\nX-Trailer: 1\r\n\r\n"
)
POST = b"POST /a.B/c HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nmeasured!"
OFFER = POST.replace(b"Host", b"Connection: upgrade\r\nUpgrade: h2c\r\nHost")
CHUNKED_POST = (
    b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nchunks \r\n3;a=b\r\nand\r\n0\r\nX: 1\r\n\r\n"
)


@pytest.fixture(params=["direct", "httpx"])
def engine(request: pytest.FixtureRequest) -> Transport:
    """Each engine meets them all."""
    return build(Options(engine=request.param))


def content(number: int, size: int) -> bytes:
    """A body of which no two parts are equal, nor those of two calls."""
    line = b"%d of " % number + b",".join(b"%d" % each for each in range(size // 6))
    return line[:size].ljust(size, b".")


def put(feed: Callable[[memoryview], object], data: bytes, cuts: list[int]) -> None:
    """Feed data that is cut in places, each piece out of the same memory, which is overwritten then."""
    landing = memoryview(bytearray(len(data) or 1))
    places = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    for start, end in pairwise(places):
        landing[: end - start] = data[start:end]
        feed(landing[: end - start])
        landing[:] = b"\xff" * len(landing)


@pytest.mark.parametrize("answer", [SMALL, CHUNKED, EARLY + SMALL])
def test_an_answer_may_be_cut_at_every_byte(answer: bytes) -> None:
    """The reader keeps nothing of the memory in which it arrived."""
    for cut in range(1, len(answer)):
        reader = AnswerReader("peer", 100)
        put(reader.feed, answer, [cut])

        assert reader.is_complete
        assert reader.is_reusable
        assert reader.outcome().body in (b"measured!", b"chunks and")


@given(st.lists(st.integers(0, 1000)), st.sampled_from([SMALL, CHUNKED, EARLY + CHUNKED]), st.binary(max_size=9))
def test_what_follows_an_answer_leaves_it_what_it_is(cuts: list[int], answer: bytes, garbage: bytes) -> None:
    """But its connection carries no other one."""
    reader = AnswerReader("peer", 100)
    put(reader.feed, answer, cuts)
    whole = reader.outcome()
    if garbage:
        put(reader.feed, garbage, [])

    assert reader.is_reusable == (not garbage.strip(b"\r\n"))
    assert whole == reader.outcome()


@pytest.mark.parametrize("request_", [POST, OFFER, CHUNKED_POST])
def test_a_request_may_be_cut_at_every_byte(request_: bytes) -> None:
    """An offer to speak something else, which is read twice, as well."""
    for cut in range(1, len(request_)):
        reader = RequestReader(100)
        put(reader.feed, request_ + POST, [cut, len(request_)])

        first, second = reader.requests
        assert (None, None) == (first.problem, second.problem)
        assert first.body in (b"measured!", b"chunks and")
        assert b"measured!" == second.body


@given(st.lists(st.integers(0, 1000)), st.lists(st.sampled_from([POST, CHUNKED_POST, OFFER]), min_size=1, max_size=3))
def test_requests_may_be_cut_anywhere(cuts: list[int], requests: list[bytes]) -> None:
    """Up to three together: a fourth offer in one piece would be the end."""
    reader = RequestReader(100)
    put(reader.feed, b"".join(requests), cuts)

    expected = [b"chunks and" if each is CHUNKED_POST else b"measured!" for each in requests]
    assert expected == [each.body for each in reader.requests]


@pytest.mark.anyio
async def test_bodies_of_every_size_come_back_as_they_were_sent(engine: Transport) -> None:
    """Many at once, each of which is more than fits into the kernel in one go, or less."""

    async def echo(call: Call, peer: str) -> Reply:
        return Reply(payload=call.payload)

    async def ask(channel: Any, number: int) -> None:
        for size in SIZES:
            payload = content(number, size)
            assert payload == (await channel.call(Call(payload=payload))).payload

    with anyio.fail_after(20):
        async with (
            engine.listen(Endpoint("http:"), echo) as listener,
            engine.open(listener.endpoint) as channel,
            anyio.create_task_group() as tasks,
        ):
            for number in range(4):
                tasks.start_soon(ask, channel, number)


class Scripted:
    """
    A server that gives each request the same bytes, piece by piece, and counts its connections.
    """

    def __init__(self, *pieces: bytes, closes: bool = False) -> None:
        self.connections = 0
        self._pieces = pieces
        self._closes = closes

    async def talk(self, stream: SocketStream) -> None:
        """Answer what comes, until it is the end."""
        self.connections += 1
        try:
            while (request := await stream.receive()).startswith(b"POST"):
                while not request.endswith(b"\r\n\r\n"):
                    request += await stream.receive()
                for piece in self._pieces:
                    await stream.send(piece)
                    await anyio.wait_all_tasks_blocked()
                if self._closes:
                    return
            await stream.send(HEAD % 0)
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            pass

    @asynccontextmanager
    async def called(self, engine: Transport, raw_peer: Any) -> Any:
        """A channel to it; the connections that opening it takes are not counted."""
        with anyio.fail_after(5):
            async with raw_peer(self.talk) as endpoint, engine.open(endpoint) as channel:
                self.connections = 0
                yield channel


@pytest.mark.anyio
@pytest.mark.parametrize("early", [b"", EARLY])
async def test_a_large_answer_may_arrive_in_pieces(engine: Transport, raw_peer: Any, early: bytes) -> None:
    """And its connection carries the next one."""
    server = Scripted(early + ANSWER[:10], ANSWER[10:200], ANSWER[200:50_000], ANSWER[50_000:])
    async with server.called(engine, raw_peer) as channel:
        for _ in range(3):
            assert BODY == (await channel.call(Call())).payload

    assert 1 == server.connections


@pytest.mark.anyio
@pytest.mark.parametrize("pieces", [[ANSWER + b"x"], [ANSWER[:50_000], ANSWER[50_000:] + ANSWER]])
async def test_a_connection_is_left_after_more_than_a_large_body(
    transport: Transport, raw_peer: Any, pieces: list[bytes]
) -> None:
    """The body is what its length says, and what follows it is in nobody's answer."""
    server = Scripted(*pieces)
    async with server.called(transport, raw_peer) as channel:
        for _ in range(3):
            assert BODY == (await channel.call(Call(idempotent=True))).payload

    assert 3 == server.connections


@pytest.mark.anyio
@pytest.mark.parametrize("answer", [ANSWER, SMALL, HEAD % 0], ids=["large", "small", "empty"])
async def test_a_second_answer_is_never_that_to_the_next_call(engine: Transport, raw_peer: Any, answer: bytes) -> None:
    """A call that may be made twice is made again over another connection; any other ends there."""
    server = Scripted(SMALL + answer)
    async with server.called(engine, raw_peer) as channel:
        for _ in range(3):
            assert b"measured!" == (await channel.call(Call(idempotent=True))).payload
        assert 3 == server.connections


@pytest.mark.anyio
async def test_a_call_that_finds_a_second_answer_may_have_been_made(raw_peer: Any) -> None:
    """httpx takes what follows an answer for the next one; so much is noticed once the call has been sent."""
    server = Scripted(SMALL + SMALL)
    async with server.called(build(Options(engine="httpx")), raw_peer) as channel:
        await channel.call(Call())
        with pytest.raises(ConnectionLost, match="before it was asked") as caught:
            await channel.call(Call())
        assert b"measured!" == (await channel.call(Call())).payload

    assert caught.value.sent is not False


@pytest.mark.anyio
async def test_a_connection_on_which_a_request_is_stuck_carries_no_other(engine: Transport, raw_peer: Any) -> None:
    """Though the server has answered it, which not every client notices before it has sent all."""
    calls = 0

    async def talk(stream: SocketStream) -> None:
        nonlocal calls
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            calls += (await stream.receive(4)) == b"POST"
            await stream.send(SMALL)
            if calls == 1:
                await anyio.sleep_forever()

    with anyio.fail_after(5):
        async with raw_peer(talk) as endpoint, engine.open(endpoint) as channel:
            with suppress(DeadlineExceeded):
                await channel.call(Call(payload=b"x" * 15_000_000, deadline=anyio.current_time() + 0.5))

            assert b"measured!" == (await channel.call(Call())).payload


@pytest.mark.anyio
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("answer", [EARLY + SMALL, CHUNKED], ids=["measured", "chunked"])
async def test_an_answer_to_the_first_bytes_ends_a_large_request(
    raw_peer: Any, authority: Authority, answer: bytes, secure: bool
) -> None:
    """The server reads no further, and keeps the connection open."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.ca.issue_cert("127.0.0.1").configure_cert(tls)

    async def talk(stream: SocketStream) -> None:
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            heard = await TLSStream.wrap(stream, ssl_context=tls, server_side=True) if secure else stream
            if (await heard.receive(4)) == b"POST":
                await heard.send(answer)
                await anyio.sleep_forever()
            await heard.send(SMALL)

    with anyio.fail_after(10):
        async with raw_peer(talk) as endpoint:
            url = endpoint.url.replace("http:", "https:") if secure else endpoint.url
            async with build(Options(ca_file=authority.ca_file)).open(Endpoint(url)) as channel:
                for _ in range(2):
                    assert (await channel.call(Call(payload=b"x" * 15_000_000))).payload in (
                        b"measured!",
                        b"chunks and",
                    )


@pytest.mark.anyio
@pytest.mark.parametrize("size", [200, 50_000, len(ANSWER) - 1])
async def test_a_large_body_that_breaks_off_is_a_lost_connection(engine: Transport, raw_peer: Any, size: int) -> None:
    """Wherever it does; a part of a body is none."""
    server = Scripted(ANSWER[:size], closes=True)
    async with server.called(engine, raw_peer) as channel:
        with pytest.raises(ConnectionLost):
            await channel.call(Call())


@pytest.mark.anyio
async def test_a_client_that_leaves_amid_a_large_response_hurts_nobody(transport: Transport) -> None:
    """The server has it half written, and serves the next one."""
    body = content(0, 3 * 1024 * 1024)

    async def answer(call: Call, peer: str) -> Reply:
        return Reply(payload=body)

    with anyio.fail_after(5):
        async with transport.listen(Endpoint("http:"), answer) as listener:
            host, port = listener.endpoint.address.split(":")
            for _ in range(3):
                async with await anyio.connect_tcp(host, int(port)) as stream:
                    await stream.send(POST)
                    assert (await stream.receive(9)) == b"HTTP/1.1 "
            async with transport.open(listener.endpoint) as channel:
                assert body == (await channel.call(Call())).payload
