"""
The server and clients that know nothing of it, byte by byte.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import SocketStream

from remora.protocols import Transport
from remora.types import Call, Endpoint, Reply
from remora_http.plugin import Options, build

pytestmark = pytest.mark.anyio

POST = b"POST /a.B/c HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n%d"
LAST = b"POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: 1\r\n\r\n9"


async def echo(call: Call, peer: str) -> Reply:
    """Answer with what was asked."""
    return Reply(payload=call.payload)


@asynccontextmanager
async def connected(transport: Transport) -> AsyncIterator[SocketStream]:
    """A connection to a server that echoes."""
    with anyio.fail_after(5):
        async with transport.listen(Endpoint("http:"), echo) as listener:
            host, port = listener.endpoint.address.split(":")
            async with await anyio.connect_tcp(host, int(port)) as stream:
                yield stream


async def read_all(stream: SocketStream) -> bytes:
    """Everything until the server closes the connection."""
    data = b""
    try:
        while True:
            data += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return data


async def test_requests_that_come_together_are_answered_in_order(transport: Transport) -> None:
    """However many; and the connection ends when the client has said so."""
    async with connected(transport) as stream:
        await stream.send(b"".join(POST % number for number in range(9)) + LAST)
        answers = (await read_all(stream)).split(b"HTTP/1.1 200 OK\r\n")[1:]

    assert [b"%d" % number for number in range(10)] == [answer[-1:] for answer in answers]
    assert [b"connection: close" in answer for answer in answers] == [False] * 9 + [True]
    assert all(b"\r\ncontent-length: 1\r\n" in answer and answer.startswith(b"date: ") for answer in answers)


@pytest.mark.parametrize(
    ("origin", "status"),
    [("https://good.example", 200), ("https://evil.example", 403), ("null", 403), ("http://{host}", 403)],
)
@pytest.mark.parametrize("content_type", ["", "Content-Type: application/json\r\n"])
async def test_a_web_page_calls_nothing_unless_it_is_named(origin: str, status: int, content_type: str) -> None:
    """Neither by a request that browsers send without asking, nor by a name of its own that leads to this machine."""
    transport = build(Options(origins=("https://good.example",)))
    async with connected(transport) as stream:
        host = "evil.example"
        page = f"{content_type}Origin: {origin.format(host=host)}\r\nHost: {host}\r\n".encode()
        await stream.send(LAST.replace(b"Connection: close\r\n", b"Connection: close\r\n" + page))
        answer = await read_all(stream)

    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert (status == 200) == answer.endswith(b"\r\n\r\n9")


async def test_a_client_that_waits_for_a_sign_gets_it(transport: Transport) -> None:
    """Before it sends its body."""
    async with connected(transport) as stream:
        await stream.send(LAST[:-1].replace(b"Content", b"Expect: 100-continue\r\nContent"))
        assert b"HTTP/1.1 100 Continue\r\n\r\n" == await stream.receive()
        await stream.send(b"9")

        assert (await read_all(stream)).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_head_is_answered_without_a_body(transport: Transport) -> None:
    """As HTTP has it; nothing but POST makes a call."""
    async with connected(transport) as stream:
        await stream.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + LAST)
        head, rest = (await read_all(stream)).split(b"\r\n\r\n", 1)

    assert head.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")
    assert b"allow: POST" in head
    assert rest.startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"garbage\r\n\r\n", b"400 Bad Request"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"400 Bad Request"),
        (b"POST / HTTP/1.1\r\nX: " + b"x" * 70_000, b"431 Request Header Fields Too Large"),
    ],
)
async def test_what_is_no_request_is_refused_and_the_connection_ended(
    transport: Transport, request_: bytes, status: bytes
) -> None:
    """With a status that says why."""
    async with connected(transport) as stream:
        await stream.send(request_)
        answer = await read_all(stream)

    assert answer.startswith(b"HTTP/1.1 " + status)
    assert b"\r\nconnection: close\r\n" in answer


async def test_a_body_far_over_the_limit_is_refused_while_it_arrives() -> None:
    """The client can read why, though it is still sending."""
    async with connected(build(Options(max_message_size=1000))) as stream:
        await stream.send(b"POST / HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 100_000)
        answer = await read_all(stream)

    assert answer.startswith(b"HTTP/1.1 429 ")
    assert b"larger than 1000 bytes" in answer


@pytest.mark.parametrize(
    ("options", "beginning", "expected"),
    [
        (Options(idle_timeout=3600, slow_timeout=0.1), LAST[:-1], b"HTTP/1.1 408"),
        (Options(idle_timeout=3600, slow_timeout=0.1), POST % 1 + LAST[:-1], b"HTTP/1.1 200"),
        (Options(idle_timeout=0.1, slow_timeout=3600), b"", b""),
        (Options(idle_timeout=0.1, slow_timeout=3600), POST % 1, b"HTTP/1.1 200"),
    ],
)
async def test_idle_connections_and_slow_requests_have_times_of_their_own(
    options: Options, beginning: bytes, expected: bytes
) -> None:
    """However much longer the other one is."""
    async with connected(build(options)) as stream:
        if beginning:
            await stream.send(beginning)

        assert (await read_all(stream)).startswith(expected)


async def test_a_request_has_its_own_time_however_long_its_connection_was_idle() -> None:
    """It began in time, so it is not cut off when the idle connection would have ended."""
    async with connected(build(Options(idle_timeout=0.5, slow_timeout=3600))) as stream:
        await stream.send(LAST[:-1])
        with anyio.move_on_after(1.5) as scope:
            await stream.receive()
        await stream.send(LAST[-1:])

        assert scope.cancelled_caught
        assert (await read_all(stream)).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize(
    ("beginning", "expected"), [(b"", b""), (POST % 1, b"HTTP/1.1 200"), (LAST[:-1], b"HTTP/1.1 408")]
)
async def test_a_client_that_is_too_slow_is_left(beginning: bytes, expected: bytes) -> None:
    """Whether it says nothing at all, nothing more, or half a request."""
    async with connected(build(Options(idle_timeout=0.05, slow_timeout=0.05))) as stream:
        if beginning:
            await stream.send(beginning)

        assert (await read_all(stream)).startswith(expected)
