"""
Bytes through a socket.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from anyio.abc import UNIXSocketStream
from anyio.streams.stapled import StapledObjectStream

from remora import Call, Reply
from remora.io import BytePipe, SocketPipe, TtrpcChannel, open_ttrpc, serve_ttrpc
from remora.io._parts import rest_of
from remora.protocols import WatchedChannel
from remora.wire import LARGE
from tests.core.io.pipes import socket_pair

pytestmark = pytest.mark.anyio


def open_descriptors() -> int:
    """
    How many this process has, where the system tells.
    """
    return len(os.listdir("/proc/self/fd")) if Path("/proc/self/fd").exists() else 0


async def echo(call: Call, peer: str) -> Reply:
    """
    A plugin that answers with what it was asked.
    """
    return Reply(payload=call.payload)


async def test_all_bytes_arrive_in_order_though_the_socket_takes_fewer() -> None:
    """
    More than any buffer of the system.
    """
    sent = os.urandom(3_000_000)
    received = bytearray()
    ours, theirs = socket_pair()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ours.send, sent)
            while len(received) < len(sent):
                received += await theirs.receive()
        await ours.aclose()
        with pytest.raises(anyio.EndOfStream):
            await theirs.receive()
        with pytest.raises(anyio.BrokenResourceError):
            await theirs.send(b"x")
    await theirs.aclose()

    assert sent == received


async def test_pieces_arrive_in_order_though_the_socket_takes_fewer() -> None:
    """
    Also empty ones, and those of which only a part has been written.
    """
    pieces = [os.urandom(size) for size in (10, 0, 900_000, 1, 1_900_000, 70_000, 0)]
    ours, theirs = socket_pair()
    received = bytearray()

    async def write(rest: Sequence[bytes | memoryview]) -> None:
        while rest := rest_of(rest, ours.write(rest)):
            await ours.writable()

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            written = ours.write_quietly(pieces)
            tasks.start_soon(write, rest_of(pieces, written))
            while len(received) < sum(map(len, pieces)):
                received += await theirs.receive()
    await ours.aclose()
    await theirs.aclose()

    assert 0 < written < sum(map(len, pieces))
    assert b"".join(pieces) == received


async def test_what_a_pipe_has_received_is_not_changed_by_what_another_one_receives() -> None:
    """
    Though they read into the same memory.
    """
    first, second = socket_pair(), socket_pair()
    with anyio.fail_after(5):
        await first[0].send(b"a" * 100_000)
        await second[0].send(b"b" * 100_000)
        kept = await first[1].receive()
        await second[1].receive()
    for pipe in (*first, *second):
        await pipe.aclose()

    assert b"a" * len(kept) == kept


async def test_a_pipe_may_be_read_in_another_thread_than_it_was_made_in(anyio_backend: str) -> None:
    """
    What that thread is reading is not changed by what this one reads meanwhile.
    """
    (ours, theirs), (one, other) = socket_pair(), socket_pair()
    arrived, read_on = threading.Event(), threading.Event()
    seen: list[bool] = []

    def take(data: bytes | memoryview) -> None:
        before = bytes(data)
        arrived.set()
        read_on.wait(5)
        seen.append(before == data)

    async def read() -> None:
        with suppress(anyio.EndOfStream):
            await other.pump(take)
        await other.aclose()

    def elsewhere() -> None:
        anyio.run(read, backend=anyio_backend)

    with anyio.fail_after(5):
        await one.send(b"a" * LARGE)
        thread = threading.Thread(target=elsewhere)
        thread.start()
        await anyio.to_thread.run_sync(arrived.wait)
        await ours.send(b"b" * LARGE)
        await theirs.receive()
        read_on.set()
        for pipe in (one, ours, theirs):
            await pipe.aclose()
        await anyio.to_thread.run_sync(thread.join)

    assert seen
    assert all(seen)


def test_event_loops_in_several_threads_do_not_meet(anyio_backend: str) -> None:
    """
    Large and small messages over several connections in each of them, some calls cancelled amid.
    """
    problems: list[object] = []

    async def talk(number: int) -> None:
        async with anyio.create_task_group() as servers, AsyncExitStack() as stack:
            channels = []
            for _ in range(2):
                ours, theirs = socket_pair()
                servers.start_soon(serve_ttrpc, theirs, echo, "peer")
                channels.append(await stack.enter_async_context(open_ttrpc(ours)))
            async with anyio.create_task_group() as callers:
                for each in range(16):
                    payload = bytes([number, each]) * (10, 20_000, 150_000)[each % 3]
                    callers.start_soon(ask, channels[each % 2], payload, each % 5 == 0)

    async def ask(channel: TtrpcChannel, payload: bytes, is_cancelled: bool) -> None:
        with anyio.move_on_after(0 if is_cancelled else 5):
            if (await channel.call(Call(service="S", method="m", payload=payload))).payload == payload:
                return
        if not is_cancelled:
            problems.append(payload[:2])

    def run(number: int) -> None:
        try:
            for _ in range(3):
                anyio.run(talk, number, backend=anyio_backend)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert problems == []


async def test_closing_wakes_who_reads_and_who_writes() -> None:
    """
    With an error that says who closed it.
    """
    ours, theirs = socket_pair()

    async def expect_closed_for_reading() -> None:
        with pytest.raises(anyio.ClosedResourceError):
            await ours.receive()

    async def expect_closed_for_writing() -> None:
        with pytest.raises(anyio.ClosedResourceError):
            await ours.send(bytes(10_000_000))

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(expect_closed_for_reading)
            tasks.start_soon(expect_closed_for_writing)
            await anyio.wait_all_tasks_blocked()
            await ours.aclose()
            await ours.aclose()
        with pytest.raises(anyio.ClosedResourceError):
            await ours.send(b"x")
        with pytest.raises(anyio.ClosedResourceError):
            await ours.receive()
    await theirs.aclose()


@pytest.mark.fault(36)
async def test_a_read_may_be_cancelled_just_as_the_peer_closes() -> None:
    """
    In the same step of the loop; nothing is reported to the loop, which would fail the test.
    """

    async def read(pipe: SocketPipe) -> None:
        with suppress(anyio.EndOfStream, anyio.ClosedResourceError):
            await pipe.receive()

    with anyio.fail_after(10):
        for steps in range(50):
            ours, theirs = socket_pair()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(read, ours)
                await anyio.lowlevel.checkpoint()
                await anyio.lowlevel.checkpoint()
                theirs._socket.close()
                for _ in range(steps % 4):
                    await anyio.lowlevel.checkpoint()
                if steps % 2:
                    tasks.start_soon(ours.aclose)
                tasks.cancel_scope.cancel()
            await ours.aclose()


@pytest.mark.fault(62)
async def test_channels_opened_and_lost_in_any_order_leave_no_descriptor() -> None:
    """
    A hundred times, ended by this side, by the other, and by both at once.
    """
    before = open_descriptors()
    with anyio.fail_after(20):
        for turn in range(100):
            ours, theirs = socket_pair()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(serve_ttrpc, theirs, echo, "test")
                async with open_ttrpc(ours) as channel:
                    await channel.call(Call(payload=b"x"))
                    if turn % 3 == 1:
                        tasks.cancel_scope.cancel()
                    elif turn % 3 == 2:
                        await theirs.aclose()

    assert before == open_descriptors()


@pytest.mark.parametrize("kind", ["Remora's", "anyio's", "in memory"])
async def test_ttrpc_runs_over_any_stream_of_bytes(kind: str) -> None:
    """
    Whatever has `receive`, `send` and `aclose`.
    """
    ours, theirs = await streams_of(kind)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve_ttrpc, theirs, echo, "test")
            async with open_ttrpc(ours) as channel:
                assert isinstance(channel, WatchedChannel)
                for size in (0, 1, 100_000, 1_000_000):
                    assert size == len((await channel.call(Call(payload=bytes(size)))).payload)


async def streams_of(kind: str) -> tuple[BytePipe, BytePipe]:
    """
    Two connected streams.
    """
    if kind == "Remora's":
        return socket_pair()
    if kind == "in memory":
        there, here = anyio.create_memory_object_stream[bytes](1), anyio.create_memory_object_stream[bytes](1)
        return StapledObjectStream(there[0], here[1]), StapledObjectStream(here[0], there[1])
    ours, theirs = socket.socketpair()
    return await UNIXSocketStream.from_socket(ours), await UNIXSocketStream.from_socket(theirs)
