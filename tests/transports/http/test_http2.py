"""
Calls over HTTP/2, to servers of other people.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream

from remora.errors import ConfigError, ConnectionLost, DeadlineExceeded, NotInstalled, PluginError
from remora.protocols import Channel
from remora.types import Call, Endpoint, Reply
from remora_http import asgi
from remora_http.plugin import Options, build
from tests.transports.http2 import GOAWAY, RST_STREAM, SETTINGS, frame
from tests.transports.tls import Authority

pytestmark = pytest.mark.anyio

LARGE = bytes(range(256)) * 4096 * 3


class Echo:
    """
    A plugin that says what it hears, sometimes late or never.
    """

    async def say(self, text: str) -> str:
        """Return it."""
        return text

    async def refuse(self) -> str:
        """Refuse."""
        raise PluginError("no", details={"id": 7})

    async def sleep(self) -> str:
        """Never answer."""
        await anyio.sleep_forever()
        return ""


class Watched:
    """
    The same in an ASGI server, which tells how it was asked.
    """

    def __init__(self) -> None:
        self.versions: set[str] = set()
        self.clients: set[Any] = set()
        self._application = asgi(Echo())

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Take a request."""
        self.versions.add(scope["http_version"])
        self.clients.add(scope["client"])
        await self._application(scope, receive, send)


@pytest.fixture(params=["https", "http"])
def served(request: pytest.FixtureRequest, asgi_server: Any, authority: Authority) -> Any:
    """
    A way to call an application in hypercorn, with TLS or without.
    """

    @asynccontextmanager
    async def serve(application: Any) -> AsyncIterator[Channel]:
        files = authority.issue("127.0.0.1") if request.param == "https" else {}
        transport = build(Options(http2=True, ca_file=authority.ca_file))
        with anyio.fail_after(20):
            async with (
                asgi_server(application, **files) as place,
                transport.open(Endpoint(f"{request.param}://{place}")) as channel,
            ):
                yield channel

    return serve


def call(method: str, payload: bytes = b"{}", **fields: Any) -> Call:
    """One to the plugin."""
    return Call(service="Echo", method=method, payload=payload, content_type="application/json", **fields)


async def test_many_calls_share_a_connection(served: Any) -> None:
    """
    Small ones, one that is larger than any window, and errors.
    """
    application = Watched()
    replies: list[bytes] = []

    async def ask(channel: Any, number: int) -> None:
        replies.append((await channel.call(call("say", b'"%d"' % number))).payload)

    async with served(application) as channel:
        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(ask, channel, number)
        text = b'"%s"' % (b"x" * 3_000_000)
        assert text == (await channel.call(call("say", text))).payload
        with pytest.raises(PluginError, match="no") as caught:
            await channel.call(call("refuse"))

    assert {b'"%d"' % number for number in range(50)} == set(replies)
    assert {"id": 7} == caught.value.details
    assert {"2"} == application.versions
    assert 1 == len(application.clients)


async def test_a_call_that_is_late_hurts_no_other_on_its_connection(served: Any) -> None:
    """
    It ends at its deadline; those beside it and behind it are answered.
    """
    application = Watched()

    async def be_late(channel: Any) -> None:
        with pytest.raises(DeadlineExceeded):
            await channel.call(call("sleep", deadline=anyio.current_time() + 0.3))

    async with served(application) as channel:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(be_late, channel)
            for number in range(20):
                assert b'"%d"' % number == (await channel.call(call("say", b'"%d"' % number))).payload
        assert b'"after"' == (await channel.call(call("say", b'"after"'))).payload

    assert 1 == len(application.clients)


async def test_a_server_with_tls_that_offers_nothing_else_is_called_over_http_1(authority: Authority) -> None:
    """
    It was asked.
    """

    async def echo(request: Call, peer: str) -> Reply:
        return Reply(payload=request.payload, content_type=request.content_type)

    server = build(Options(**authority.issue("127.0.0.1")))
    client = build(Options(http2=True, ca_file=authority.ca_file))
    with anyio.fail_after(10):
        async with server.listen(Endpoint("https:"), echo) as listener, client.open(listener.endpoint) as channel:
            assert LARGE == (await channel.call(Call(payload=LARGE))).payload


async def test_a_server_without_tls_that_speaks_only_http_1_is_suspected_of_it() -> None:
    """
    It is not asked first, cannot make anything of the beginning, and closes the connection.
    """

    async def echo(request: Call, peer: str) -> Reply:
        return Reply(payload=request.payload)

    with anyio.fail_after(10):
        async with build(Options()).listen(Endpoint("http:"), echo) as listener:
            with pytest.raises(ConnectionLost, match=r"disconnected; does it speak HTTP/2\?"):
                async with build(Options(http2=True)).open(listener.endpoint):
                    pass


@pytest.mark.parametrize(
    ("last", "event"),
    [
        (frame(RST_STREAM, 0, 1, bytes([0, 0, 0, 2])), "StreamReset"),
        (frame(GOAWAY, 0, 0, bytes([0, 0, 0, 0, 0, 0, 0, 11])), "ConnectionTerminated"),
    ],
    ids=["reset", "goaway"],
)
async def test_what_a_server_ends_a_call_with_is_a_lost_connection(raw_peer: Any, last: bytes, event: str) -> None:
    """
    Which says what the server has done.
    """

    async def talk(stream: SocketStream) -> None:
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            await stream.send(frame(SETTINGS, 0, 0))
            heard = b""
            while b"\x01\x05\x00\x00\x00\x01" not in heard:  # the headers of the first stream
                heard += await stream.receive()
            await stream.send(last)
            await anyio.sleep_forever()

    with anyio.fail_after(10):
        async with raw_peer(talk) as endpoint:
            with pytest.raises(ConnectionLost, match=event):
                async with build(Options(http2=True)).open(endpoint):
                    pass


def test_what_cannot_be_is_refused_before_any_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    An engine that speaks only HTTP/1.1, and a missing package.
    """
    with pytest.raises(ConfigError, match="speaks no HTTP/2"):
        build(Options(engine="direct", http2=True))
    monkeypatch.setattr("remora_http._client._engine.find_spec", lambda name: None)
    with pytest.raises(NotInstalled, match=r"remora-http\[http2\]"):
        build(Options(http2=True))
