"""
Peers that drip, stall, break off or answer late.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import anyio
import pytest
import sniffio
from anyio.abc import SocketAttribute, SocketStream

from remora import Call, ConnectionLost, DeadlineExceeded, Endpoint, Reply, ServeOptions, Unavailable, serving
from remora.wire import RESPONSE, FrameDecoder, encode_frame, encode_reply
from remora_grpc import _transport
from remora_http.plugin import Options, build
from remora_unix.plugin import Options as UnixOptions
from remora_unix.plugin import build as build_unix
from tests.faults.peers import ask, http_answer, http_request, manager_of
from tests.ports import deaf_port
from tests.transports.tls import Authority

pytestmark = pytest.mark.anyio

ENGINES = pytest.mark.parametrize("engine", ["direct", "httpx"])
"""Each of HTTP's engines meets the same peers, at ports and at Unix sockets."""

SHORT = {"connection": {"request_timeout": 0.5}}


def by(engine: str, url: str, **table: Any) -> dict[str, Any]:
    """
    The table of a plugin that is called by one of HTTP's engines.
    """
    return {"endpoint": url, "options": {"engine": engine}, **table}


def reset(stream: SocketStream) -> None:
    """
    Have the connection end with a reset when it is closed, where there is such a thing.
    """
    raw = stream.extra(SocketAttribute.raw_socket)
    if raw.family == socket.AF_UNIX:
        return
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@asynccontextmanager
async def until_it_ends() -> AsyncIterator[None]:
    """
    Take the end of a connection for the end of the block.
    """
    with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
        yield


@pytest.mark.fault(30)
@pytest.mark.parametrize("whole", [0, 30, 90], ids=["status", "headers", "body"])
@ENGINES
@pytest.mark.long
async def test_a_dripping_server_is_left_at_the_deadline(anyio_backend, http_peer, whole: int, engine: str) -> None:
    """
    Every byte is in time, but the reply is not.
    """
    answer = http_answer(b'"' + b"x" * 1000 + b'"')

    async def talk(stream: SocketStream) -> None:
        if (await http_request(stream)).startswith(b"OPTIONS"):
            return await stream.send(http_answer(b""))
        await stream.send(answer[:whole])
        for byte in answer[whole:]:
            await anyio.sleep(0.05)
            await stream.send(bytes([byte]))
        return None

    with anyio.fail_after(10):
        async with http_peer(talk) as url, manager_of(slow=by(engine, url, **SHORT)) as manager:
            await anyio.wait_all_tasks_blocked()
            started = anyio.current_time()
            with pytest.raises(DeadlineExceeded):
                await ask(manager, "slow")
            took = anyio.current_time() - started

    assert 0.4 < took < 1.5


@pytest.mark.fault(30)
async def test_a_dripping_program_is_left_at_the_deadline(anyio_backend, program) -> None:
    """
    On a pipe as on a socket.
    """
    body = """
        def answer(request):
            for byte in range(1000):
                sys.stdout.write(" ")
                sys.stdout.flush()
                time.sleep(0.05)
    """
    with anyio.fail_after(10):
        async with manager_of(slow=program(body, options={"stop_grace": 0.1, "term_grace": 0.1})) as manager:
            with pytest.raises(DeadlineExceeded):
                await ask(manager, "slow", timeout=0.8)


@pytest.mark.fault(7)
async def test_a_socket_that_gives_one_byte_at_a_time_gives_a_whole_reply(anyio_backend, tmp_path) -> None:
    """
    Frames have no favourite places to be cut.
    """
    path = tmp_path / "s"
    reply = encode_frame(1, RESPONSE, encode_reply_of(b'"whole"'))

    async def talk(stream: SocketStream) -> None:
        decoder = FrameDecoder()
        async with stream, until_it_ends():
            while decoder.next_frame() is None:
                decoder.feed(await stream.receive())
            for byte in reply:
                await stream.send(bytes([byte]))
            await stream.receive()

    with anyio.fail_after(10):
        async with await anyio.create_unix_listener(path) as listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, talk)
            async with build_unix(UnixOptions()).open(Endpoint(f"unix:{path}")) as channel:
                assert b'"whole"' == (await channel.call(Call())).payload
            tasks.cancel_scope.cancel()


@pytest.mark.fault(36, 37)
@ENGINES
async def test_an_answer_that_nobody_has_asked_for_is_no_answer(anyio_backend, http_peer, engine: Any) -> None:
    """
    A connection on which something arrives while nobody waits is not used again.
    """
    answered, poisoned, posts = anyio.Event(), anyio.Event(), []

    async def talk(stream: SocketStream) -> None:
        while request := await http_request(stream):
            if not request.startswith(b"POST"):
                return await stream.send(http_answer(b""))
            posts.append(request)
            await stream.send(http_answer(b'"%d"' % len(posts)))
            if len(posts) == 1:
                await answered.wait()
                await stream.send(http_answer(b'"poison"'))
                poisoned.set()
        return None

    with anyio.fail_after(10):
        async with http_peer(talk) as url, build(Options(engine=engine)).open(Endpoint(url)) as channel:
            assert b'"1"' == (await channel.call(Call())).payload
            answered.set()
            await poisoned.wait()
            await anyio.wait_all_tasks_blocked()
            assert b'"2"' == (await channel.call(Call())).payload


@pytest.mark.fault(29)
@pytest.mark.parametrize("is_reset", [True, False], ids=["RST", "FIN"])
@ENGINES
async def test_a_connection_that_breaks_in_a_body_is_not_used_again(
    anyio_backend, http_peer, is_reset: bool, engine: Any
) -> None:
    """
    The next call has a new one, and its own reply.
    """
    posts = []

    async def talk(stream: SocketStream) -> None:
        while request := await http_request(stream):
            if not request.startswith(b"POST"):
                return await stream.send(http_answer(b""))
            posts.append(request)
            if len(posts) == 1:
                await stream.send(http_answer(b'"first"')[:-3])
                return reset(stream) if is_reset else None
            await stream.send(http_answer(b'"second"'))
        return None

    with anyio.fail_after(10):
        async with http_peer(talk) as url, build(Options(engine=engine)).open(Endpoint(url)) as channel:
            with pytest.raises(ConnectionLost) as caught:
                await channel.call(Call())
            assert caught.value.sent
            assert b'"second"' == (await channel.call(Call())).payload


@pytest.mark.fault(31)
@ENGINES
async def test_a_server_that_does_not_read_is_left_at_the_deadline(anyio_backend, http_peer, engine: str) -> None:
    """
    However much there is to send.
    """

    async def talk(stream: SocketStream) -> None:
        if (await stream.receive(7)).startswith(b"OPTIONS"):
            return await stream.send(http_answer(b""))
        return await anyio.sleep_forever()

    with anyio.fail_after(10):
        async with http_peer(talk) as url, manager_of(deaf=by(engine, url, **SHORT)) as manager:
            await anyio.wait_all_tasks_blocked()
            started = anyio.current_time()
            with pytest.raises(DeadlineExceeded):
                await ask(manager, "deaf", "x" * 12_000_000)
            took = anyio.current_time() - started

    assert took < 2


@pytest.mark.fault(36)
@ENGINES
async def test_the_reply_to_a_call_that_timed_out_reaches_nobody(anyio_backend, http_peer, engine: str) -> None:
    """
    Its connection is gone with it.
    """
    late, posts = anyio.Event(), []

    async def talk(stream: SocketStream) -> None:
        while request := await http_request(stream):
            if not request.startswith(b"POST"):
                return await stream.send(http_answer(b""))
            posts.append(request)
            number = len(posts)
            if number == 1:
                await late.wait()
            await stream.send(http_answer(b"%d" % number))
        return None

    table = {"connection": {"max_connections": 1, "request_timeout": 5}}
    with anyio.fail_after(10):
        async with http_peer(talk) as url, manager_of(late=by(engine, url, **table)) as manager:
            with pytest.raises(DeadlineExceeded):
                await ask(manager, "late", timeout=0.5)
            late.set()
            assert [await ask(manager, "late") for _ in range(3)] == [2, 3, 4]


@pytest.mark.fault(37)
async def test_frames_of_no_call_are_dropped(anyio_backend, tmp_path) -> None:
    """
    Numbers that nobody gave, replies given twice: the calls under way get theirs.
    """
    path = tmp_path / "s"

    async def talk(stream: SocketStream) -> None:
        decoder, number = FrameDecoder(), 0
        async with stream, until_it_ends():
            while True:
                frame = decoder.next_frame()
                if frame is None:
                    decoder.feed(await stream.receive())
                    continue
                number += 1
                own = encode_frame(frame.stream_id, RESPONSE, encode_reply_of(b"%d" % number))
                alien = encode_frame(frame.stream_id + 100, RESPONSE, encode_reply_of(b'"alien"'))
                await stream.send(alien + own + own + alien)

    with anyio.fail_after(10):
        async with await anyio.create_unix_listener(path) as listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, talk)
            table = {"endpoint": f"unix:{path}"}
            async with manager_of(odd=table) as manager:
                assert [await ask(manager, "odd") for _ in range(5)] == [1, 2, 3, 4, 5]
            tasks.cancel_scope.cancel()


@pytest.mark.fault(11)
async def test_an_address_where_nobody_listens_gets_no_call(anyio_backend) -> None:
    """
    The error says why, and that nothing was sent.
    """
    with deaf_port() as port, anyio.fail_after(10):
        async with manager_of(gone={"endpoint": f"http://127.0.0.1:{port}"}) as manager:
            with pytest.raises(Unavailable, match="Connection refused") as caught:
                await ask(manager, "gone")

    assert not caught.value.sent


def encode_reply_of(payload: bytes) -> bytes:
    """
    The message of a good reply.
    """
    return encode_reply(Reply(payload=payload))


@pytest.mark.fault(28, 30)
@pytest.mark.parametrize("scheme", ["https", "grpc", "grpcs"])
@pytest.mark.parametrize("begun", [b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"])
async def test_a_client_that_never_shakes_hands_is_left(
    scheme: str, begun: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Else a few thousand of them would be all that a served plugin has room for.
    """
    monkeypatch.setattr(_transport, "_HANDSHAKE_MS", 200)
    library = sniffio.current_async_library()
    monkeypatch.setattr(import_module(f"remora_http._server._wires_{library}"), "HANDSHAKE", 0.2)
    files = Authority(tmp_path / "ca").issue("127.0.0.1") if scheme.endswith("s") else {}
    options = ServeOptions(auth={"method": "none", **files})
    with anyio.fail_after(10):
        async with serving(Quiet(), listen=f"{scheme}://127.0.0.1:0", options=options) as served:
            port = int(served.endpoints[0].url.rpartition(":")[2])
            async with await anyio.connect_tcp("127.0.0.1", port) as stream:
                await stream.send(begun)
                with pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                    while True:  # gRPC says hello without being asked
                        await stream.receive()


class Quiet:
    """
    Nobody gets to ask it.
    """

    async def ask(self) -> None:
        """Answer nothing."""
