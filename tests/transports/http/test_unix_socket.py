"""
HTTP over a Unix socket, as many servers offer it beside TCP.
"""

from __future__ import annotations

import json
import os
import socket
import socketserver
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from http.server import BaseHTTPRequestHandler
from itertools import count
from pathlib import Path
from typing import Any

import anyio
import pytest

from remora import Manager
from remora.config import ConnectionConfig, HealthCheckConfig
from remora.errors import ConfigError, ConnectionLost, DeadlineExceeded, PeerRefused, Unavailable, WrongProtocol
from remora.protocols import Dispatch, Listener, Transport
from remora.testing import check_transport
from remora.types import Call, Endpoint, Status
from remora_http._address import parse_address, parse_local_address
from remora_http._client._engine import Way, open_engine
from remora_http.plugin import Options, build, remora_register_transports

pytestmark = pytest.mark.anyio


class Handler(BaseHTTPRequestHandler):
    """
    Says what it was asked; it knows nothing of Remora.
    """

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if self.path == "/slow":
            threading.Event().wait(1)
        self._answer(200, {"path": self.path, "host": self.headers["Host"], "asked": asked})

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/base/healthy" else 503, {})

    def do_OPTIONS(self) -> None:
        self._answer(200, {})

    def log_message(self, *_: Any) -> None:
        """
        Be quiet.
        """

    def address_string(self) -> str:
        return "somebody"

    def _answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """
    The standard library's HTTP server at a path.
    """

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """
        Say nothing: clients may go.
        """


@pytest.fixture
def path(tmp_path: Path) -> Iterator[str]:
    """
    Where a server listens.
    """
    with Server(str(tmp_path / "App.sock"), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield str(tmp_path / "App.sock")
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("engine", ["direct", "httpx"])
async def test_call_is_posted_through_the_socket(path: str, engine: Any) -> None:
    """
    The path stands behind a second colon; hosts are called localhost.
    """
    with anyio.fail_after(10):
        async with build(Options(engine=engine)).open(Endpoint(f"http+unix://{path}:/base")) as channel:
            for _ in range(3):
                reply = await channel.call(Call(service="a.B", method="c", payload=b"{}"))

    assert {"path": "/base/a.B/c", "host": "localhost", "asked": "{}"} == json.loads(reply.payload)


@pytest.mark.parametrize("engine", ["direct", "httpx"])
async def test_a_stranger_at_the_socket_gets_nothing(path: str, engine: Any) -> None:
    """
    Whoever makes the socket first would get the credentials.
    """
    options = Options(engine=engine, peer_uid=os.geteuid() + 4711)
    with anyio.fail_after(10), pytest.raises(PeerRefused, match=f"belongs to the user {os.geteuid()}; if it is"):
        async with build(options).open(Endpoint(f"http+unix://{path}")):
            pass


@pytest.mark.parametrize("engine", ["direct", "httpx"])
async def test_every_connection_is_looked_at_before_anything_is_sent(tmp_path: Path, engine: Any) -> None:
    """
    Who listens at a path may change while a channel is open.
    """
    received: list[bytes] = []
    ended = anyio.Event()

    async def talk(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            try:
                received.append(await stream.receive())
            except anyio.EndOfStream:
                ended.set()

    address = replace(parse_address(Endpoint(f"http+unix://{tmp_path}/s")), peer_uid=os.geteuid() + 4711)
    async with await anyio.create_unix_listener(tmp_path / "s") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, talk)
        with anyio.fail_after(10):
            async with open_engine(address, Options(engine=engine), Way()) as carrier:
                with pytest.raises(PeerRefused, match=f"belongs to the user {os.geteuid()}; if it is"):
                    await carrier.post(Call(method="m", headers={"authorization": "Bearer secret"}))
            await ended.wait()
        tasks.cancel_scope.cancel()

    assert [] == received


@pytest.mark.parametrize("engine", ["direct", "httpx"])
@pytest.mark.long
async def test_the_contract_is_kept_through_a_socket(anyio_backend: str, tmp_path: Path, engine: Any) -> None:
    """
    As it is over TCP; the server is Remora's own, behind a relay.
    """
    (spec,) = remora_register_transports()
    numbers = count()
    relayed = replace(spec, build=lambda options: Relayed(build(options), lambda: f"{tmp_path}/{next(numbers)}"))

    assert await check_transport(relayed, Options(engine=engine))


class Relayed:
    """
    The transport, with Unix sockets before the ports that it serves at.
    """

    def __init__(self, inner: Transport, path: Callable[[], str]) -> None:
        self._path = path
        self._inner = inner
        self._taken: set[str] = set()
        self.open = inner.open

    @asynccontextmanager
    async def listen(self, endpoint: Endpoint, dispatch: Dispatch, /) -> AsyncIterator[Listener]:
        """Serve at a port, and relay a socket to it."""
        path = self._path() if endpoint.url == "http:" else endpoint.address
        if path in self._taken:
            raise Unavailable(f"{path} is taken", sent=False)
        self._taken.add(path)
        async with self._inner.listen(Endpoint("http:"), dispatch) as behind:
            port = int(behind.endpoint.url.rpartition(":")[2])
            async with await anyio.create_unix_listener(path) as listener, anyio.create_task_group() as tasks:
                tasks.start_soon(listener.serve, partial(relay, port))
                yield Relay(Endpoint(f"http+unix://{path}"), behind.wait_closed)
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
        self._taken.remove(path)


@dataclass
class Relay:
    """
    A listener at a Unix socket.
    """

    endpoint: Endpoint
    wait_closed: Callable[[], Awaitable[None]]


async def relay(port: int, near: anyio.abc.SocketStream) -> None:
    """
    Carry bytes both ways until either side ends.
    """

    async def carry(source: anyio.abc.ByteStream, target: anyio.abc.ByteStream) -> None:
        try:
            while True:
                await target.send(await source.receive())
        except (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError):
            tasks.cancel_scope.cancel()

    async with near, await anyio.connect_tcp("127.0.0.1", port) as far, anyio.create_task_group() as tasks:
        tasks.start_soon(carry, near, far)
        tasks.start_soon(carry, far, near)


@pytest.mark.parametrize("engine", ["direct", "httpx"])
async def test_health_page_is_asked_for_through_the_socket(path: str, engine: Any) -> None:
    """
    By its path under the endpoint's.
    """
    options = Options(engine=engine, health_check=HealthCheckConfig(endpoint="healthy"))
    with anyio.fail_after(10):
        async with build(options).open(Endpoint(f"http+unix://{path}:/base")) as channel:
            assert Status.HEALTHY == (await channel.probe()).status


async def test_deadline_ends_a_call_and_the_next_one_is_answered(path: str) -> None:
    """
    On another connection.
    """
    with anyio.fail_after(10):
        async with build(Options()).open(Endpoint(f"http+unix://{path}")) as channel:
            with pytest.raises(DeadlineExceeded):
                await channel.call(Call(method="slow", deadline=anyio.current_time() + 0.1))

            assert b"/quick" in (await channel.call(Call(method="quick"))).payload


async def test_plugin_may_be_configured_so(path: str) -> None:
    """
    The scheme chooses the transport.
    """
    with anyio.fail_after(10):
        async with Manager({"plugins": {"app": {"endpoint": f"http+unix://{path}", "method": "run"}}}) as manager:
            reply = await manager.plugin("app", dict, dict).execute({"a": 1})

    assert {"path": "/run", "host": "localhost", "asked": '{"a":1}'} == reply


async def test_nobody_there_is_told_by_the_path(tmp_path: Path) -> None:
    """
    Nothing was sent; and what is no socket, or does not speak HTTP, is told, too.
    """
    (tmp_path / "file").write_text("x")
    for name, words in [("none", "No such file"), ("file", "refused"), ("x" * 200, "too long")]:
        with pytest.raises(Unavailable, match=words) as caught:
            async with build(Options()).open(Endpoint(f"http+unix://{tmp_path}/{name}")):
                pass
        assert f"{tmp_path}/{name}" in str(caught.value)
        assert not caught.value.sent


async def test_what_does_not_speak_http_is_found_out(tmp_path: Path) -> None:
    """
    Before a call is made.
    """
    async with await anyio.create_unix_listener(tmp_path / "s") as listener, anyio.create_task_group() as tasks:

        async def talk(stream: anyio.abc.SocketStream) -> None:
            async with stream:
                await stream.receive()
                await stream.send(b"hello\r\n")

        tasks.start_soon(listener.serve, talk)
        with anyio.fail_after(10), pytest.raises(WrongProtocol, match=f"{tmp_path}/s does not speak HTTP"):
            async with build(Options()).open(Endpoint(f"http+unix://{tmp_path}/s")):
                pass
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("engine", ["direct", "httpx"])
async def test_full_queue_is_waited_for(tmp_path: Path, engine: Any) -> None:
    """
    The system says "try again", and that is what is done, for as long as there is time.
    """
    options = Options(engine=engine, connection=ConnectionConfig(connection_timeout=0.1))
    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        listening.bind(str(tmp_path / "s"))
        listening.listen(0)
        while True:
            waiting = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            waiting.setblocking(False)
            try:
                waiting.connect(str(tmp_path / "s"))
            except BlockingIOError:
                break
        with anyio.fail_after(10), pytest.raises(Unavailable, match=r"did not answer within 0\.1 s"):
            async with build(options).open(Endpoint(f"http+unix://{tmp_path}/s")):
                pass
        address = parse_address(Endpoint(f"http+unix://{tmp_path}/s"))
        with anyio.fail_after(10):
            async with open_engine(address, options, Way()) as carrier:
                with pytest.raises(Unavailable, match=r"did not answer within 0\.1 s") as caught:
                    await carrier.post(Call())
        assert not caught.value.sent


async def test_lost_connection_is_told_by_the_path(tmp_path: Path) -> None:
    """
    Of a server that greets, and hangs up when it is asked.
    """
    async with await anyio.create_unix_listener(tmp_path / "s") as listener, anyio.create_task_group() as tasks:

        async def talk(stream: anyio.abc.SocketStream) -> None:
            async with stream:
                if (await stream.receive()).startswith(b"OPTIONS"):
                    await stream.send(b"HTTP/1.1 204 No Content\r\n\r\n")

        tasks.start_soon(listener.serve, talk)
        with anyio.fail_after(10):
            async with build(Options()).open(Endpoint(f"http+unix://{tmp_path}/s")) as channel:
                with pytest.raises(ConnectionLost, match=f"{tmp_path}/s"):
                    await channel.call(Call(method="m"))
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("url", "socket_", "target"),
    [
        ("http+unix:///run/App.sock", "/run/App.sock", "/"),
        ("http+unix:/run/app.sock", "/run/app.sock", "/"),
        ("http+unix:run/../app.sock:/v1", "app.sock", "/v1"),
        ("http+unix:///run/app.sock:/", "/run/app.sock", "/"),
        ("http+unix:///run/a%20b.sock:/v1/x?k=v", "/run/a%20b.sock", "/v1/x?k=v"),
        ("HTTP+UNIX:///run/app.sock:/v1", "/run/app.sock", "/v1"),
    ],
)
def test_socket_stands_before_the_second_colon_and_the_path_behind_it(url: str, socket_: str, target: str) -> None:
    """
    As it is in the file system, with nothing to escape.
    """
    address = parse_address(Endpoint(url))

    assert (os.path.abspath(socket_), target) == (address.socket, address.target("", ""))
    assert address.socket == address.place


@pytest.mark.parametrize(
    "url",
    ["http+unix:", "http+unix://run/app.sock", "http+unix:///run/:/v1", "http+unix://:/v1", "http+unix:/run/a\0b"],
)
def test_address_without_a_socket_is_an_error_of_the_configuration(url: str) -> None:
    """
    Found before anything is sent.
    """
    with pytest.raises(ConfigError):
        parse_address(Endpoint(url))


def test_serving_there_is_left_to_other_servers() -> None:
    """
    The error says to which.
    """
    with pytest.raises(ConfigError, match="any ASGI server"):
        parse_local_address(Endpoint("http+unix:///run/app.sock"))
