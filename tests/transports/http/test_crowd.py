"""
Many calls at one server, and the trouble that one of them can make for others: none.
"""

from __future__ import annotations

import asyncio
import random
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar

import anyio
import anyio.to_thread
import pytest
from anyio.abc import SocketStream

from remora import Call, Code, PluginError, Reply, service, serving
from remora.types import Endpoint
from remora_http.plugin import Options, build

pytestmark = pytest.mark.anyio

NAME: ContextVar[str] = ContextVar("name", default="nobody")
Connect = Callable[[], Awaitable[SocketStream]]


def request(method: str, body: bytes = b'""', *, timeout: int = 0) -> bytes:
    """The bytes of a call."""
    limit = b"connect-timeout-ms: %d\r\n" % timeout if timeout else b""
    head = b"POST /s/%b HTTP/1.1\r\n%bcontent-length: %d\r\n\r\n" % (method.encode(), limit, len(body))
    return head + body


async def answer(stream: SocketStream) -> tuple[int, bytes]:
    """The status and the body of the next response."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive()
    head, _, body = data.partition(b"\r\n\r\n")
    size = re.search(rb"content-length: (\d+)", head)
    assert size is not None
    while len(body) < int(size[1]):
        body += await stream.receive()
    return int(head[9:12]), body


async def ask(stream: SocketStream, method: str, body: bytes = b'""', *, timeout: int = 0) -> tuple[int, bytes]:
    """Call and wait."""
    await stream.send(request(method, body, timeout=timeout))
    return await answer(stream)


@asynccontextmanager
async def listening(
    dispatch: Callable[[Call, str], Awaitable[Reply]], **options: int
) -> AsyncIterator[Callable[[], Awaitable[SocketStream]]]:
    """A server, and a way to connect to it."""
    with anyio.fail_after(15):
        async with build(Options(**options)).listen(Endpoint("http:"), dispatch) as listener:  # type: ignore[arg-type]
            host, port = listener.endpoint.address.split(":")
            yield lambda: anyio.connect_tcp(host, int(port))


class Plugin:
    """
    Does what the method's name says, and counts.

    Attributes:
        begun: How often each payload was asked.
        cancelled: Set once a call that was waiting is cancelled.
    """

    def __init__(self) -> None:
        self.begun: Counter[bytes] = Counter()
        self.cancelled = anyio.Event()
        self.waiting = anyio.Event()

    async def __call__(self, call: Call, peer: str) -> Reply:
        """Answer."""
        self.begun[call.payload] += 1
        await getattr(self, call.method)()
        return Reply(payload=call.payload)

    async def echo(self) -> None:
        """At once."""

    async def pause(self) -> None:
        """A little later."""
        for _ in range(3):
            await anyio.lowlevel.checkpoint()

    async def wait(self) -> None:
        """Never."""
        self.waiting.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.cancelled.set()

    async def refuse(self) -> None:
        """With an error."""
        raise PluginError("no", code=Code.NOT_FOUND)

    async def stray(self) -> None:
        """With the cancellation of something of its own."""
        other = asyncio.ensure_future(asyncio.sleep(60))
        other.cancel()
        await other


async def test_a_call_at_its_deadline_is_cancelled_and_its_connection_goes_on() -> None:
    """With a status that says so, and for the next call."""
    plugin = Plugin()
    async with listening(plugin) as connect, await connect() as stream:
        late = await ask(stream, "wait", timeout=30)
        good = await ask(stream, "echo")

    assert (504, True) == (late[0], plugin.cancelled.is_set())
    assert b'"deadline_exceeded"' in late[1]
    assert (200, b'""') == good


async def test_the_deadline_of_a_call_that_has_ended_cancels_no_other() -> None:
    """Though both have come over the same connection."""
    async with listening(Plugin()) as connect, await connect() as stream:
        assert 200 == (await ask(stream, "echo", timeout=40))[0]
        begun = anyio.current_time()
        late = await ask(stream, "wait", timeout=120)

    assert 504 == late[0]
    assert anyio.current_time() - begun >= 0.119


async def test_who_hangs_up_cancels_his_own_call_and_no_other() -> None:
    """Nobody waits for an answer."""
    plugin = Plugin()
    async with listening(plugin) as connect, await connect() as other:
        gone = await connect()
        await gone.send(request("wait", b'"gone"'))
        await plugin.waiting.wait()
        await other.send(request("wait", b'"other"', timeout=100))
        await gone.aclose()
        await plugin.cancelled.wait()

        assert 504 == (await answer(other))[0]
        assert (200, b"1") == await ask(other, "echo", b"1")


@pytest.mark.only_on("asyncio")
async def test_a_call_that_the_plugin_itself_cancels_has_failed_and_hurts_no_other() -> None:
    """On trio nobody can."""
    async with listening(Plugin()) as connect, await connect() as stream:
        assert 500 == (await ask(stream, "stray"))[0]
        assert 200 == (await ask(stream, "echo"))[0]


async def test_a_client_that_is_gone_before_it_was_looked_at_hurts_nobody() -> None:
    """The socket that is accepted then has no peer."""
    async with listening(Plugin()) as connect, await connect() as stream:
        port = stream.extra(anyio.abc.SocketAttribute.remote_port)
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port)) as hasty:
                hasty.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

        assert 200 == (await ask(stream, "echo"))[0]
        async with await connect() as another:
            assert 200 == (await ask(another, "echo"))[0]


async def test_what_a_handler_leaves_in_its_context_is_not_seen_by_the_next_call() -> None:
    """Over the same connection or another."""
    seen: list[str] = []

    async def look(call: Call, peer: str) -> Reply:
        seen.append(NAME.get())
        NAME.set("somebody")
        return Reply(payload=b"1")

    async with listening(look) as connect, await connect() as stream, await connect() as another:
        for each in (stream, another, stream):
            assert 200 == (await ask(each, "look"))[0]

    assert ["nobody"] * 3 == seen


async def test_a_client_that_does_not_read_holds_up_nobody_and_may_read_when_the_server_stops() -> None:
    """Its response is sent to the end."""
    size = 8 * 1024 * 1024
    ready = anyio.Event()

    async def big(call: Call, peer: str) -> Reply:
        ready.set()
        return Reply(payload=b"x" * size if call.method == "big" else b"1")

    bodies: list[bytes] = []
    async with anyio.create_task_group() as tasks:
        async with listening(big) as connect:
            lazy = await connect()
            await lazy.send(request("big"))
            await ready.wait()
            async with await connect() as other:
                assert (200, b"1") == await ask(other, "echo")

            async def read() -> None:
                bodies.append((await answer(lazy))[1])
                await lazy.aclose()

            tasks.start_soon(read)  # runs when the server is about to stop

    assert [size] == [len(body) for body in bodies]


async def test_a_synchronous_handler_that_takes_its_time_holds_up_nobody() -> None:
    """It has a thread."""
    release = threading.Event()

    @service("s")
    class Slow:
        def slow(self, text: str) -> str:
            release.wait(10)
            return text

        async def quick(self, text: str) -> str:
            return text

    with anyio.fail_after(10):
        async with serving(Slow(), listen="http:") as served:
            host, port = served.endpoints[0].address.split(":")
            async with (
                await anyio.connect_tcp(host, int(port)) as slow,
                await anyio.connect_tcp(host, int(port)) as quick,
            ):
                await slow.send(request("slow"))
                for _ in range(10):
                    assert 200 == (await ask(quick, "quick"))[0]
                release.set()
                assert 200 == (await answer(slow))[0]


@pytest.mark.parametrize("seed", range(4))
async def test_in_a_crowd_every_call_is_asked_once_and_has_its_own_answer(seed: int) -> None:
    """Whatever else is going on: errors, deadlines, clients that hang up at any moment."""
    chance = random.Random(seed)
    plugin = Plugin()
    statuses = {"echo": 200, "pause": 200, "refuse": 404, "wait": 504}
    asked: list[bytes] = []
    perhaps: list[bytes] = []

    async def client(number: int) -> None:
        stream = await connect()
        for turn in range(12):
            method = chance.choice(["echo", "echo", "pause", "pause", "refuse", "wait"])
            body = b"%d.%d" % (number, turn)
            data = request(method, body, timeout=5 if method == "wait" else 5000)
            if chance.random() < 0.1:
                perhaps.append(body)
                await stream.send(data[: chance.randrange(1, len(data) + 1)])
                await stream.aclose()
                stream = await connect()
                continue
            asked.append(body)
            cut = chance.randrange(len(data))
            await stream.send(data[:cut])
            await stream.send(data[cut:])
            status, reply = await answer(stream)
            assert statuses[method] == status
            assert reply == body or status != 200
        await stream.aclose()

    async with listening(plugin) as connect, anyio.create_task_group() as tasks:
        for number in range(16):
            tasks.start_soon(client, number)

    late = {body for body in asked if not plugin.begun[body]}  # its time was over before anybody was free
    assert all(plugin.begun[body] == 1 for body in asked if body not in late)
    assert all(plugin.begun[body] <= 1 for body in perhaps)
    assert set(plugin.begun) <= set(asked) | set(perhaps)
    assert len(late) < 10
