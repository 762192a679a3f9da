"""
The choice of the engine, and the pool of the direct one.
"""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import suppress
from itertools import count
from typing import Any

import anyio
import pytest
from anyio.abc import SocketStream

from remora.config import ConnectionConfig
from remora.errors import ConfigError, DeadlineExceeded, InvalidRequest, Unavailable
from remora.protocols import Channel, Transport
from remora.types import Call, Endpoint, Reply, Status
from remora_http.plugin import Options, build
from tests.ports import deaf_port

pytestmark = pytest.mark.anyio

OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

PROGRAM = """
import sys, anyio
from remora.types import Call, Endpoint, Reply
from remora_http.plugin import Options, build

async def echo(call, peer):
    return Reply(payload=call.payload)

async def main():
    transport = build(Options())
    async with transport.listen(Endpoint("http:"), echo) as listener, transport.open(listener.endpoint) as channel:
        await channel.call(Call())

anyio.run(main)
print(sorted({"httpx", "httpcore", "h11", "trio"} & set(sys.modules)))
"""


def test_a_call_by_the_direct_engine_loads_no_httpx() -> None:
    """And asyncio needs no trio."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, check=True, timeout=30)

    assert b"[]" == done.stdout.strip()


async def test_the_direct_engine_knows_no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked for by name, it says so; otherwise httpx takes its place, and finds nobody there."""
    monkeypatch.delenv("no_proxy", raising=False)
    with deaf_port() as port, anyio.fail_after(5):
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        with pytest.raises(ConfigError, match='engine = "direct" knows no proxies'):
            async with build(Options(trust_env=True, engine="direct")).open(Endpoint("http://192.0.2.1")):
                pass
        async with build(Options(trust_env=True)).open(Endpoint("http://192.0.2.1")) as channel:
            with pytest.raises(Unavailable, match="refused"):
                await channel.call(Call())


async def test_a_deadline_ends_no_later_call_on_the_same_connection(raw_peer: Any) -> None:
    """The first call ends before its deadline, and the second one is under way at that time."""
    bodies: list[tuple[int, bytes]] = []
    release = anyio.Event()

    async def talk(stream: SocketStream) -> None:
        async for request in stream:
            _, _, body = request.rpartition(b"\r\n\r\n")
            bodies.append((id(stream), body))
            if body == b"second":
                await release.wait()
            if body != b"third":
                await stream.send(OK)

    async def outlive(channel: Channel) -> None:
        with pytest.raises(DeadlineExceeded):
            await channel.call(Call(payload=b"third", deadline=anyio.current_time() + 0.1))
        release.set()

    with anyio.fail_after(5):
        async with raw_peer(talk) as endpoint, build(Options()).open(endpoint) as channel:
            await channel.call(Call(payload=b"first", deadline=anyio.current_time() + 0.05))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(outlive, channel)
                reply = await channel.call(Call(payload=b"second"))

    assert b"{}" == reply.payload
    places = {body: place for place, body in bodies}
    assert places[b"first"] == places[b"second"] != places[b"third"]


async def test_a_connection_that_nobody_uses_is_closed_in_time(raw_peer: Any) -> None:
    """After `idle_timeout`, without another call."""
    ended = anyio.Event()

    async def talk(stream: SocketStream) -> None:
        while (request := await stream.receive()).startswith(b"POST"):
            await stream.send(OK)
            try:
                await stream.receive()
            except anyio.EndOfStream:
                return ended.set()
        assert request.startswith(b"OPTIONS")
        return await stream.send(OK)

    transport = build(Options(connection=ConnectionConfig(idle_timeout=0.05)))
    with anyio.fail_after(5):
        async with raw_peer(talk) as endpoint, transport.open(endpoint) as channel:
            await channel.call(Call())
            await ended.wait()


@pytest.mark.parametrize("engine", ["direct", "httpx"])
async def test_a_probe_is_answered_whatever_calls_are_under_way(transport: Transport, engine: Any) -> None:
    """An instance that is busy is not ill; the host alone sees to the number of calls."""
    started = anyio.Event()

    async def dispatch(call: Call, peer: str) -> Reply:
        if call.method == "Check":
            return Reply(payload=b'{"status": "SERVING"}')
        started.set()
        await anyio.sleep_forever()
        raise AssertionError

    single = build(Options(engine=engine, connection=ConnectionConfig(max_connections=1)))
    with anyio.fail_after(5):
        async with (
            transport.listen(Endpoint("http:"), dispatch) as listener,
            single.open(listener.endpoint) as channel,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(channel.call, Call())
            await started.wait()

            assert Status.HEALTHY == (await channel.probe()).status
            tasks.cancel_scope.cancel()


async def test_unused_connections_are_kept_up_to_their_number(transport: Transport) -> None:
    """The others are closed after their call."""
    peers = set[str]()

    async def dispatch(call: Call, peer: str) -> Reply:
        peers.add(peer)
        while len(peers) < 3:
            await anyio.wait_all_tasks_blocked()
        return Reply()

    few = build(Options(connection=ConnectionConfig(max_idle_connections=1)))
    with anyio.fail_after(5):
        async with transport.listen(Endpoint("http:"), dispatch) as listener, few.open(listener.endpoint) as channel:
            for _ in range(2):
                async with anyio.create_task_group() as tasks:
                    for _ in range(3):
                        tasks.start_soon(channel.call, Call())

    assert 5 == len(peers)


@pytest.mark.parametrize("engine", ["direct", "httpx"])
async def test_without_keep_alive_every_call_has_a_connection_of_its_own(transport: Transport, engine: Any) -> None:
    """None is kept, whatever the number that may be."""
    peers = set[str]()

    async def dispatch(call: Call, peer: str) -> Reply:
        peers.add(peer)
        return Reply()

    alone = build(Options(engine=engine, connection=ConnectionConfig(keep_alive=False)))
    with anyio.fail_after(5):
        async with transport.listen(Endpoint("http:"), dispatch) as listener, alone.open(listener.endpoint) as channel:
            for _ in range(3):
                await channel.call(Call())

    assert 3 == len(peers)


@pytest.mark.parametrize("engine", ["direct", "httpx"])
async def test_a_call_whose_time_is_over_is_not_sent(transport: Transport, engine: Any) -> None:
    """The next one is."""
    asked: list[str] = []

    async def dispatch(call: Call, peer: str) -> Reply:
        asked.append(call.method)
        return Reply()

    with anyio.fail_after(5):
        async with (
            transport.listen(Endpoint("http:"), dispatch) as listener,
            build(Options(engine=engine)).open(listener.endpoint) as channel,
        ):
            with pytest.raises(DeadlineExceeded) as caught:
                await channel.call(Call(method="late", deadline=anyio.current_time() - 0.001))
            await channel.call(Call(method="next"))

    assert not caught.value.sent
    assert ["next"] == asked


async def test_a_name_that_httpx_cannot_send_is_the_callers_mistake() -> None:
    """No error of httpx's own comes out."""

    async def echo(call: Call, peer: str) -> Reply:
        return Reply(payload=call.payload)

    transport = build(Options(engine="httpx"))
    async with transport.listen(Endpoint("http:"), echo) as server, transport.open(server.endpoint) as channel:
        with pytest.raises(InvalidRequest, match="too long"):
            await channel.call(Call(service="s", method="m" * 70_000))


async def test_the_connection_that_was_used_last_is_used_first(raw_peer: Any) -> None:
    """So that the others can end when there is less to do."""
    numbers = count()
    asked: list[int] = []
    arrived, turns, ended = ([anyio.Event() for _ in range(3)] for _ in range(3))

    async def talk(stream: SocketStream) -> None:
        connection = next(numbers)
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while (await stream.receive()).startswith(b"POST"):
                call = len(asked)
                asked.append(connection)
                arrived[call].set()
                await turns[call].wait()
                await stream.send(OK)
            await stream.send(OK)

    async def ask(channel: Channel, call: int) -> None:
        await channel.call(Call())
        ended[call].set()

    with anyio.fail_after(5):
        async with (
            raw_peer(talk) as endpoint,
            build(Options()).open(endpoint) as channel,
            anyio.create_task_group() as tasks,
        ):
            for call in (0, 1):
                tasks.start_soon(ask, channel, call)
                await arrived[call].wait()
            for call in (0, 1):
                turns[call].set()
                await ended[call].wait()
            turns[2].set()
            await channel.call(Call())

    first, second, third = asked
    assert first != second == third


async def test_a_connection_that_was_idle_for_too_long_is_not_used_before_it_is_closed(raw_peer: Any) -> None:
    """As when the event loop was held up, and its timer is late."""
    numbers = count()
    asked: list[int] = []

    async def talk(stream: SocketStream) -> None:
        connection = next(numbers)
        with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
            while (await stream.receive()).startswith(b"POST"):
                asked.append(connection)
                await stream.send(OK)
            await stream.send(OK)

    options = Options(connection=ConnectionConfig(idle_timeout=0.2))
    with anyio.fail_after(5):
        async with raw_peer(talk) as endpoint, build(options).open(endpoint) as channel:
            await channel.call(Call())
            time.sleep(0.25)
            await channel.call(Call())

    first, second = asked
    assert first != second
