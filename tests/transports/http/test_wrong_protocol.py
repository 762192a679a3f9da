"""
Peers that do not speak HTTP, or stop speaking it.
"""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from anyio.abc import SocketAttribute, SocketStream

from remora.config import ConnectionConfig
from remora.errors import ConnectionLost, InvalidReply, RemoraError, Unavailable, WireError, WrongProtocol
from remora.protocols import Transport
from remora.types import Call, Endpoint
from remora_http.plugin import Options, build

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["direct", "httpx"])
def transport(request: pytest.FixtureRequest) -> Transport:
    """
    Each engine meets them all.
    """
    return build(Options(engine=request.param))


@pytest.fixture(params=["tcp", "unix"])
def raw_peer(request: pytest.FixtureRequest, raw_peer: Any, tmp_path: Path) -> Any:
    """
    And at both kinds of sockets.
    """

    @asynccontextmanager
    async def at_a_path(talk: Any) -> AsyncIterator[Endpoint]:
        async def handle(stream: SocketStream) -> None:
            async with stream:
                await talk(stream)

        async with await anyio.create_unix_listener(tmp_path / "s") as listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, handle)
            yield Endpoint(f"http+unix://{tmp_path}/s")
            await anyio.wait_all_tasks_blocked()  # else reads are cancelled as their peers close
            tasks.cancel_scope.cancel()

    return raw_peer if request.param == "tcp" else at_a_path


SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def read_request(stream: SocketStream) -> bytes:
    """
    The next request; empty at the end of the connection.
    """
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            data += await stream.receive()
    except (anyio.EndOfStream, anyio.BrokenResourceError):
        return b""
    return data


@pytest.mark.fault(5)
@pytest.mark.parametrize(
    ("greeting", "quoted"),
    [
        (SETTINGS, r"gRPC port"),
        (b"SSH-2.0-OpenSSH_9\r\n", "SSH-2.0"),
        (b"220 mail ESMTP\r\n", "220 mail"),
        (b"\x15\x03", "x15"),
    ],
)
async def test_whoever_answers_in_another_protocol_is_quoted(
    transport: Transport, raw_peer: Any, greeting: bytes, quoted: str
) -> None:
    """
    Even when it would hold the connection open for ever.
    """

    async def talk(stream: SocketStream) -> None:
        await stream.send(greeting)
        await anyio.sleep_forever()

    with anyio.fail_after(5):
        async with raw_peer(talk) as endpoint:
            with pytest.raises(WrongProtocol, match=quoted):
                async with transport.open(endpoint):
                    pass


async def test_a_grpc_server_is_recognised(transport: Transport) -> None:
    """
    A real one, on a port that was meant for `grpc:`.
    """
    grpc = pytest.importorskip("grpc", reason="grpcio is not installed")
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with anyio.fail_after(5), pytest.raises(WrongProtocol, match="gRPC port"):
            async with transport.open(Endpoint(f"http://127.0.0.1:{port}")):
                pass
    finally:
        await anyio.to_thread.run_sync(server.stop(0).wait)


async def test_whoever_hangs_up_at_once_does_not_speak_http(transport: Transport, raw_peer: Any) -> None:
    """
    The message says what it did.
    """

    async def talk(stream: SocketStream) -> None:
        await stream.receive()

    with anyio.fail_after(5):
        async with raw_peer(talk) as endpoint:
            with pytest.raises(WrongProtocol, match="closed the connection without an answer"):
                async with transport.open(endpoint):
                    pass


@pytest.mark.long
async def test_whoever_says_nothing_gets_the_benefit_of_the_doubt(transport: Transport, raw_peer: Any) -> None:
    """
    It may be busy.
    """

    async def talk(stream: SocketStream) -> None:
        if (await read_request(stream)).startswith(b"POST"):
            await stream.send(OK)
        await anyio.sleep_forever()

    with anyio.fail_after(5):
        async with raw_peer(talk) as endpoint, transport.open(endpoint) as channel:
            assert b"{}" == (await channel.call(Call())).payload


@pytest.mark.fault(29)
@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"garbage\r\n\r\n", WrongProtocol),
        (b"HTTP/1.1 200 OK\r\nbroken header\r\n\r\n", WrongProtocol),
        (b"", ConnectionLost),
        (b"HTTP/1.1 200", ConnectionLost),
        (OK[:-1], ConnectionLost),
        (CHUNKED + b"zzz\r\n", WireError),
        (CHUNKED + b"2", ConnectionLost),
        (CHUNKED + b"2\r\n{", ConnectionLost),
        (CHUNKED + b"2\r\n{}\r\n", ConnectionLost),
        (CHUNKED + b"2\r\n{}\r\n0\r\nX-Trailer: 1\r\n", ConnectionLost),
        (OK.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n"), WrongProtocol),
        (OK.replace(b"\r\n\r\n", b"\r\nX: a\0b\r\n\r\n"), WrongProtocol),
        (OK.replace(b"Length: 2", b"Length: -2"), WrongProtocol),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(b"{}", mtime=0)[:-1], InvalidReply),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}", InvalidReply),
        (b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 2\r\n\r\n{}", InvalidReply),
    ],
)
async def test_an_answer_that_breaks_off_or_breaks_the_rules_is_an_error(
    transport: Transport, raw_peer: Any, answer: bytes, expected: type[RemoraError]
) -> None:
    """
    Of the kind that fits; the next call has a connection of its own.
    """
    answers = [OK, answer, OK]

    async def talk(stream: SocketStream) -> None:
        await read_request(stream)
        await stream.send(answers.pop(0))

    with anyio.fail_after(5):
        async with raw_peer(talk) as endpoint, transport.open(endpoint) as channel:
            with pytest.raises(expected):
                await channel.call(Call())
            assert b"{}" == (await channel.call(Call())).payload


@pytest.mark.fault(29)
@pytest.mark.parametrize(
    ("idempotent", "answer"), [(True, b""), (False, b""), (True, OK[:-1])], ids=["repeatable", "not", "begun"]
)
async def test_an_old_connection_that_turns_out_to_be_closed_is_replaced(
    transport: Transport, raw_peer: Any, idempotent: bool, answer: bytes
) -> None:
    """
    If the call may be made twice, and no answer has begun; otherwise the server might have seen it.
    """
    is_repeated = idempotent and not answer
    requests: list[bytes] = []

    async def talk(stream: SocketStream) -> None:
        while request := await read_request(stream):
            if not request.startswith(b"POST"):
                return await stream.send(OK)
            requests.append(request)
            if len(requests) == 2:
                return await stream.send(answer) if answer else None
            await stream.send(OK)
        return None

    with anyio.fail_after(5):
        async with raw_peer(talk) as endpoint, transport.open(endpoint) as channel:
            await channel.call(Call())
            if is_repeated:
                assert b"{}" == (await channel.call(Call(idempotent=True))).payload
            else:
                with pytest.raises(ConnectionLost) as caught:
                    await channel.call(Call(idempotent=idempotent))
                assert caught.value.sent

    assert (3 if is_repeated else 2) == len(requests)


async def test_a_connection_that_the_server_closed_while_it_was_idle_is_not_used(
    transport: Transport, raw_peer: Any
) -> None:
    """
    Even for a call that may not be made twice.
    """
    closed = [anyio.Event() for _ in range(3)]

    async def talk(stream: SocketStream) -> None:
        await read_request(stream)
        await stream.send(OK)
        await stream.aclose()
        closed.pop(0).set()

    first, second, _ = closed
    with anyio.fail_after(5):
        async with raw_peer(talk) as endpoint, transport.open(endpoint) as channel:
            await first.wait()
            await channel.call(Call())
            await second.wait()
            await anyio.wait_all_tasks_blocked()
            assert b"{}" == (await channel.call(Call())).payload


@pytest.mark.fault(28)
async def test_a_connection_that_cannot_be_made_in_time_is_unavailable() -> None:
    """
    After `connection_timeout`, not after the patience of the operating system.
    """
    transport = build(Options(connection=ConnectionConfig(connection_timeout=0.05)))
    with anyio.fail_after(5):
        # The kernel accepts, but nobody ever answers the handshake.
        async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
            port = listener.extra(SocketAttribute.local_port)
            with pytest.raises(Unavailable, match=r"0\.05 s") as caught:
                async with transport.open(Endpoint(f"https://127.0.0.1:{port}")):
                    pass

    assert not caught.value.sent
