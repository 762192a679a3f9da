"""
Answers that never end, in whatever part of them: each engine stops to read, and the next call has its own connection.
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from remora.errors import InvalidReply, MessageTooLarge, PluginError, RemoraError, WireError, WrongProtocol
from remora.types import Call
from remora_http.plugin import Options, build

if TYPE_CHECKING:
    from anyio.abc import SocketStream

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
GZIP = HEAD + b"Content-Encoding: gzip\r\n\r\n"
LAST = b"1\r\n{\r\n0\r\n"
NAMED = b"\x1f\x8b\x08\x08" + bytes(6)
"""The beginning of a part of gzip with a name, which has no limit of its own."""
MUCH = b"x" * 1000


async def send_endlessly(stream: SocketStream, start: bytes, more: bytes) -> None:
    """
    Send until nobody reads any more.
    """
    try:
        await stream.send(start)
        while True:
            await stream.send(more)
    except anyio.BrokenResourceError:
        pass


@pytest.mark.parametrize("engine", ["direct", "httpx"])
@pytest.mark.parametrize(
    ("start", "more", "expected"),
    [
        pytest.param(b"HTTP/1.1 200 O", b"K" * 1000, WrongProtocol, id="status line"),
        pytest.param(HEAD, b"X: 1\r\n" * 100, WrongProtocol, id="headers"),
        pytest.param(HEAD + b"X: ", MUCH, WrongProtocol, id="header"),
        pytest.param(b"HTTP/1.1 103 Early Hints\r\n", b"X: 1\r\n" * 100, WrongProtocol, id="interim headers"),
        pytest.param(CHUNKED, b"0" * 1000, WireError, id="size of a chunk"),
        pytest.param(CHUNKED + b"1;a=", MUCH, WireError, id="extension of a chunk"),
        pytest.param(CHUNKED + LAST, b"X: 1\r\n" * 100, WireError, id="trailers"),
        pytest.param(CHUNKED + LAST + b"X: ", MUCH, WireError, id="trailer"),
        pytest.param(CHUNKED, b"1\r\nx\r\n" * 100, MessageTooLarge, id="chunks"),
        pytest.param(HEAD + b"\r\n", MUCH, MessageTooLarge, id="body"),
        pytest.param(b"HTTP/1.1 500 No\r\n\r\n", MUCH, PluginError, id="body of an error"),
        pytest.param(GZIP, gzip.compress(MUCH), MessageTooLarge, id="compressed body"),
        pytest.param(GZIP, gzip.compress(b"") * 100, InvalidReply, id="empty parts"),
        pytest.param(GZIP + NAMED, MUCH, MessageTooLarge, id="name of a part"),
    ],
)
async def test_an_answer_without_end_is_an_error(
    raw_peer: Any, engine: Any, start: bytes, more: bytes, expected: type[RemoraError]
) -> None:
    """
    Without any deadline.
    """
    answers = [(OK, b""), (start, more), (OK, b"")]  # the first one is to the question whether it speaks HTTP

    async def talk(stream: SocketStream) -> None:
        await stream.receive()
        begin, rest = answers.pop(0)
        await (send_endlessly(stream, begin, rest) if rest else stream.send(begin))

    transport = build(Options(engine=engine, max_message_size=10_000))
    with anyio.fail_after(10):
        async with raw_peer(talk) as endpoint, transport.open(endpoint) as channel:
            with pytest.raises(expected):
                await channel.call(Call())
            assert b"{}" == (await channel.call(Call())).payload
