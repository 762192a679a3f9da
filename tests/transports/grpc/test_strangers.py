"""
Endpoints where no gRPC plugin answers.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import anyio
import pytest

from remora import Call, ConfigError, Endpoint, Unavailable, WrongProtocol
from remora.config import ConnectionConfig
from remora.protocols import Transport
from remora_grpc.plugin import GrpcOptions, build
from tests.ports import deaf_port
from tests.transports.http2 import RST_STREAM, SETTINGS, frame

pytestmark = pytest.mark.anyio


@pytest.mark.fault(11)
async def test_port_where_nobody_listens_is_unavailable(transport):
    """
    The error names the address and the cause.
    """
    with (
        deaf_port() as port,
        anyio.fail_after(5),
        pytest.raises(Unavailable, match=f"127.0.0.1:{port}.*refused") as caught,
    ):
        await _open(transport, f"grpc://127.0.0.1:{port}")

    assert not caught.value.sent


@pytest.mark.fault(41)
async def test_host_that_does_not_exist_is_unavailable(transport):
    """
    A name that cannot be looked up is named.
    """
    with anyio.fail_after(10), pytest.raises(Unavailable, match=r"nosuch\.invalid"):
        await _open(transport, "grpc://nosuch.invalid:1")


async def test_http_server_speaks_the_wrong_protocol(transport):
    """
    A web server on the port is told from a plugin that is down.
    """
    with _http_server() as port, anyio.fail_after(5), pytest.raises(WrongProtocol):
        await _open(transport, f"grpc://127.0.0.1:{port}")


@pytest.mark.fault(5)
@pytest.mark.parametrize("greeting", [b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n", bytes(range(255, 0, -1))])
async def test_server_with_another_greeting_speaks_the_wrong_protocol(transport, greeting):
    """
    Garbage is no gRPC.
    """
    with _raw_server(lambda peer: peer.sendall(greeting)) as port, anyio.fail_after(5), pytest.raises(WrongProtocol):
        await _open(transport, f"grpc://127.0.0.1:{port}")


@pytest.mark.fault(44)
async def test_plaintext_server_is_the_wrong_protocol_for_grpcs(transport, free, plugin):
    """
    The scheme says TLS and the plugin does not.
    """
    with anyio.fail_after(10):
        async with transport.listen(free, plugin) as listener:
            with pytest.raises((WrongProtocol, Unavailable)):
                await _open(_impatient(1), listener.endpoint.url.replace("grpc:", "grpcs:"))


@pytest.mark.fault(28)
async def test_server_that_says_nothing_is_unavailable_in_bounded_time():
    """
    The connection's timeout bounds the wait for gRPC's greeting.
    """
    raised = pytest.raises(Unavailable, match=r"within 0\.2 s")
    with _raw_server(lambda _: None) as port, anyio.fail_after(5), raised as caught:
        await _open(_impatient(0.2), f"grpc://127.0.0.1:{port}")

    assert not caught.value.sent


async def test_server_that_refuses_the_stream_has_not_seen_the_call(transport):
    """
    HTTP/2 says so; the call may be made again, whatever it does.
    """

    def refuse(peer: socket.socket) -> None:
        data = b""
        peer.sendall(frame(SETTINGS, 0, 0))
        while b"/s/m" not in data:
            data += peer.recv(65536)
        peer.sendall(frame(SETTINGS, 1, 0) + frame(RST_STREAM, 0, 1, b"\0\0\0\7"))

    with _raw_server(refuse) as port, anyio.fail_after(5):
        async with transport.open(Endpoint(f"grpc://127.0.0.1:{port}")) as channel:
            with pytest.raises(Unavailable, match="takes no more calls") as caught:
                await channel.call(Call(service="s", method="m"))

    assert not caught.value.sent


async def test_server_that_hangs_up_is_unavailable(transport):
    """
    A connection that ends at once is worth another try.
    """
    with _raw_server(lambda peer: peer.close()) as port, anyio.fail_after(5), pytest.raises(Unavailable):
        await _open(transport, f"grpc://127.0.0.1:{port}")


async def test_cancelled_opening_ends_at_once():
    """
    Whoever waits for a connection can be cancelled.
    """
    with _raw_server(lambda _: None) as port, anyio.fail_after(5):
        with anyio.move_on_after(0.1) as scope:
            await _open(_impatient(60), f"grpc://127.0.0.1:{port}")

    assert scope.cancelled_caught


@pytest.mark.parametrize(
    "url", ["grpc:", "grpc://", "grpc://host", "grpc://host:x", "grpc://host:1/path", "grpc://u@host:1", "grpc://[::1"]
)
async def test_endpoint_that_makes_no_sense_is_a_mistake_of_the_configuration(transport, url):
    """
    The error quotes the endpoint, but for who logs in.
    """
    with pytest.raises(ConfigError) as caught:
        await _open(transport, url)

    assert repr(url.replace("u@", "***@")) in str(caught.value)


async def _open(transport: Transport, url: str) -> None:
    async with transport.open(Endpoint(url)):
        pass


def _impatient(seconds: float) -> Transport:
    return build(GrpcOptions(connection=ConnectionConfig(connection_timeout=seconds)))


@contextmanager
def _http_server() -> Iterator[int]:
    class Quiet(BaseHTTPRequestHandler):
        def log_request(self, code: object = None, size: object = None) -> None:
            pass

        def log_error(self, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def _raw_server(greet: Callable[[socket.socket], object]) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    peers = list[socket.socket]()

    def serve() -> None:
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            peers.append(peer)
            greet(peer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        for each in [listener, *peers]:
            each.close()
