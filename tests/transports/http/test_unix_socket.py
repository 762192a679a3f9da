"""
HTTP over a Unix socket, as many servers offer it beside TCP.
"""

from __future__ import annotations

import json
import os
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import anyio
import pytest

from remora import Manager
from remora.config import ConnectionConfig, HealthCheckConfig
from remora.errors import ConfigError, ConnectionLost, DeadlineExceeded, PeerRefused, Unavailable, WrongProtocol
from remora.types import Call, Endpoint, Status
from remora_http._address import parse_address, parse_local_address
from remora_http.plugin import Options, build

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


async def test_full_queue_is_waited_for(tmp_path: Path) -> None:
    """
    The system says "try again", and that is what is done, for as long as there is time.
    """
    options = Options(connection=ConnectionConfig(connection_timeout=0.1))
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

    assert (socket_, target) == (address.socket, address.target("", ""))


@pytest.mark.parametrize("url", ["http+unix:", "http+unix://run/app.sock", "http+unix:///run/:/v1", "http+unix://:/v1"])
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
