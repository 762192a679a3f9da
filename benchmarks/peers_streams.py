"""
The peers over a Unix socket and a child's pipes: what one would write with asyncio's streams, or with anyio.
"""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

import anyio

from benchmarks import memory
from benchmarks.ours import PROGRAM
from benchmarks.rounds import measure
from benchmarks.servers import SIZE

if TYPE_CHECKING:
    from benchmarks.rounds import Contender, Slice

_LIMIT = 1 << 20


def unix_pool(path: str, payload: bytes, callers: int) -> Contender:
    """
    A pool of connections; each call has one to itself, and they are opened on demand.
    """

    async def contender(seconds: float) -> Slice:
        idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

        async def call() -> bytes:
            reader, writer = idle.pop() if idle else await _connected(path)
            answer = await _ask(reader, writer, payload)
            idle.append((reader, writer))
            return answer

        result = await measure(call, seconds, callers=callers, batch=1)
        for _, writer in idle:
            writer.close()
        return result

    return contender


def unix_pool_without_memory(path: str, payload: bytes, callers: int) -> Contender:
    """
    The same in a process that gives the memory of large buffers back (see `memory`).
    """

    async def contender(seconds: float) -> Slice:
        with memory.given_back():
            return await unix_pool(path, payload, callers)(seconds)

    return contender


async def _connected(path: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """
    A connection; tries again while the server's backlog is full.
    """
    while True:
        try:
            return await asyncio.open_unix_connection(path, limit=_LIMIT)
        except BlockingIOError:
            await asyncio.sleep(0.001)


def child_and_lock(argument: str, payload: bytes, callers: int) -> Contender:
    """
    One child process, which has this argument, and a lock around each request and its reply.
    """

    async def contender(seconds: float) -> Slice:
        pipe = asyncio.subprocess.PIPE
        command = [sys.executable, "-m", "benchmarks.servers", "child", argument]
        process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, limit=_LIMIT)
        assert process.stdin is not None
        assert process.stdout is not None
        reader, writer, lock = process.stdout, process.stdin, asyncio.Lock()

        async def call() -> bytes:
            async with lock:
                return await _ask(reader, writer, payload)

        result = await measure(call, seconds, callers=callers, batch=1)
        writer.close()
        await process.wait()
        return result

    return contender


def process_per_call(_: str, payload: bytes, callers: int) -> Contender:
    """
    A program that is started for each call.
    """

    async def contender(seconds: float) -> Slice:
        async def call() -> bytes:
            return (await anyio.run_process([PROGRAM], input=payload)).stdout

        return await measure(call, seconds, callers=callers, batch=1)

    return contender


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, payload: bytes) -> bytes:
    writer.write(SIZE.pack(len(payload)) + payload)
    await writer.drain()
    (size,) = SIZE.unpack(await reader.readexactly(SIZE.size))
    return await reader.readexactly(size)
