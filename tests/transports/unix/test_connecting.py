"""
Channels to sockets where nobody, or somebody else, answers.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler
from importlib.metadata import entry_points
from pathlib import Path
from socketserver import ThreadingUnixStreamServer
from threading import Thread
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream

from remora import Call, ConfigError, ConnectionLost, Endpoint, RemoraError, Unavailable, WireError, WrongProtocol
from remora.config import ConnectionConfig
from remora.specs import TransportSpec
from remora.wire import RESPONSE, encode_frame
from remora_unix.plugin import Options, build

pytestmark = pytest.mark.anyio

transport = build(Options())


@pytest.fixture
def endpoint(tmp_path: Path) -> Endpoint:
    """
    An endpoint at which there is nothing yet.
    """
    return Endpoint(f"unix://{tmp_path}/s")


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """
        Keep quiet: a Unix socket gives callers no address to log.
        """


async def failure_of_a_call(endpoint: Endpoint) -> RemoraError:
    """
    The error of one call.
    """
    with anyio.fail_after(5), pytest.raises(RemoraError) as caught:
        async with transport.open(endpoint) as channel:
            await channel.call(Call(service="a.B", method="C", payload=b"{}"))
    return caught.value


@asynccontextmanager
async def served(endpoint: Endpoint, handle: Callable[[SocketStream], Awaitable[None]]) -> Any:
    """
    A peer that does what `handle` says with every connection.
    """
    async with await anyio.create_unix_listener(endpoint.address) as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, handle)
        yield
        tasks.cancel_scope.cancel()


def saying(*answers: bytes, first: bool = False) -> Callable[[SocketStream], Awaitable[None]]:
    """
    A peer that reads, answers and closes.
    """

    async def handle(stream: SocketStream) -> None:
        async with stream:
            if not first:
                await stream.receive()
            for answer in answers:
                await stream.send(answer)

    return handle


async def test_where_nothing_is_nobody_answers(endpoint: Endpoint) -> None:
    """
    The error names the path, and says that nothing was sent.
    """
    error = await failure_of_a_call(endpoint)

    assert Unavailable is type(error)
    assert endpoint.address in str(error)
    assert not error.sent


@pytest.mark.fault(11)
async def test_a_socket_on_which_nobody_listens_is_unavailable(endpoint: Endpoint) -> None:
    """
    What a killed server leaves behind.
    """
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(endpoint.address)

    assert Unavailable is type(await failure_of_a_call(endpoint))


async def test_a_file_that_is_no_socket_is_a_mistake_of_the_configuration(endpoint: Endpoint) -> None:
    """
    Trying again would not help.
    """
    await anyio.Path(endpoint.address).write_text("hello")

    assert ConfigError is type(await failure_of_a_call(endpoint))


async def test_a_datagram_socket_speaks_something_else(endpoint: Endpoint) -> None:
    """
    The kernel refuses the connection by its kind.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(endpoint.address)

        assert WrongProtocol is type(await failure_of_a_call(endpoint))


@pytest.mark.fault(28)
async def test_a_server_that_accepts_nobody_is_given_up_in_time(endpoint: Endpoint) -> None:
    """
    Its queue is full, and stays so.
    """
    hasty = build(Options(connection=ConnectionConfig(connection_timeout=0.1)))
    with socket.socket(socket.AF_UNIX) as full, socket.socket(socket.AF_UNIX) as waiting:
        full.bind(endpoint.address)
        full.listen(0)
        waiting.connect(endpoint.address)
        with pytest.raises(Unavailable, match="within"):
            async with hasty.open(endpoint):
                pass


async def test_an_http_server_is_recognised(endpoint: Endpoint) -> None:
    """
    A real one, which takes our bytes for a bad request.
    """
    with ThreadingUnixStreamServer(endpoint.address, _Handler) as server:
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            error = await failure_of_a_call(endpoint)
        finally:
            server.shutdown()
            thread.join()

    assert WrongProtocol is type(error)
    assert re.search("it sent .*(HTTP/1.0 400|<!DOCTYPE)", str(error)), error  # before 3.14 without a status line


@pytest.mark.fault(5)
async def test_a_peer_that_speaks_first_is_recognised(endpoint: Endpoint) -> None:
    """
    Its greeting is quoted, escaped.
    """
    async with served(endpoint, saying(b"SSH-2.0-\x1b[31mx\r\n", first=True)):
        error = await failure_of_a_call(endpoint)

    assert WrongProtocol is type(error)
    assert r"SSH-2.0-\x1b[31mx\r\n" in str(error)


async def test_a_peer_that_closes_at_once_loses_the_connection(endpoint: Endpoint) -> None:
    """
    It may have crashed, so the call may be tried again; but the message asks the question.
    """
    async with served(endpoint, saying()):
        error = await failure_of_a_call(endpoint)

    assert ConnectionLost is type(error)
    assert "does it speak ttrpc?" in str(error)


@pytest.mark.fault(32)
async def test_garbage_after_a_frame_breaks_the_protocol(endpoint: Endpoint) -> None:
    """
    The peer has spoken ttrpc before, so it is its mistake.
    """
    async with served(endpoint, saying(encode_frame(99, RESPONSE), b"\xff\xfe garbage")):
        error = await failure_of_a_call(endpoint)

    assert WireError is type(error)
    assert "garbage" in str(error)


def test_the_transport_is_found_by_its_name() -> None:
    """
    Through the entry point, like everybody's.
    """
    (entry,) = entry_points(group="remora", name="unix")
    (spec,) = entry.load().remora_register_transports()

    assert isinstance(spec, TransportSpec)
    assert ("unix", ("unix",), True) == (spec.name, spec.schemes, spec.native_deadline)


@pytest.mark.parametrize("size", [0, -1, 1 << 30])
def test_a_size_that_no_frame_can_have_is_refused(size: int) -> None:
    """
    When the transport is built.
    """
    with pytest.raises(ConfigError, match="max_message_size"):
        build(Options(max_message_size=size))
