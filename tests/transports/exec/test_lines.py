"""
The queue of lines to a pipe.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from remora_exec._pipes import ReadPipe, WritePipe
from remora_exec._wires._lines import LineQueue

pytestmark = pytest.mark.anyio

ROOM = 8 << 20


@asynccontextmanager
async def queue() -> AsyncIterator[tuple[LineQueue, ReadPipe]]:
    """
    A queue, and the end of its pipe.
    """
    end, beginning = os.pipe()
    reader, writer = ReadPipe(end), WritePipe(beginning)
    with anyio.fail_after(5):
        yield LineQueue(writer), reader
    reader.close()
    writer.close()


async def drain(reader: ReadPipe, size: int) -> bytes:
    """
    So many bytes.
    """
    data = bytearray()
    while len(data) < size:
        data += await reader.receive()
    return bytes(data)


async def test_lines_are_written_in_order_and_those_not_begun_can_be_taken_back() -> None:
    """
    A line is meant itself, and not another with the same text.
    """
    one, two, same, flushed = bytes(ROOM), b"two\n", bytearray(b"two\n"), anyio.Event()
    async with queue() as (lines, reader), anyio.create_task_group() as tasks:

        async def flush() -> None:
            await lines.flush()
            flushed.set()

        await lines.flush()
        tasks.start_soon(lines.write)
        lines.add(one)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(flush)
        await anyio.wait_all_tasks_blocked()
        assert not flushed.is_set()

        for each in (two, b"three\n", b"four\n"):
            lines.add(each)
        assert [False, False, True, False] == [lines.withdraw(each) for each in (one, bytes(same), two, two)]
        assert one + b"three\nfour\n" == await drain(reader, ROOM + 11)
        await flushed.wait()

        lines.add(one)
        tasks.start_soon(lines.flush)
        await anyio.wait_all_tasks_blocked()
        assert one == await drain(reader, ROOM)
        tasks.cancel_scope.cancel()


async def test_there_is_room_up_to_8_mib() -> None:
    """
    What is being written counts no more.
    """
    steps: list[str] = []
    async with queue() as (lines, reader), anyio.create_task_group() as tasks:

        async def wait() -> None:
            await lines.wait_for_room()
            steps.append("room")
            await lines.flush()
            steps.append("written")

        lines.add(bytes(ROOM))
        await lines.wait_for_room()
        lines.add(more := b"\n")
        assert lines.withdraw(more)
        await lines.wait_for_room()
        lines.add(more)
        tasks.start_soon(wait)
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(lines.write)
        await anyio.wait_all_tasks_blocked()
        assert [] == steps

        lines.add(bytes(ROOM))
        await lines.wait_for_room()
        assert await drain(reader, 2 * ROOM + 1)
        await anyio.wait_all_tasks_blocked()
        assert ["room", "room", "written", "written"] == steps
        tasks.cancel_scope.cancel()


async def test_nobody_waits_for_a_pipe_that_nobody_reads() -> None:
    """
    The writer ends; what comes later is left.
    """
    async with queue() as (lines, reader), anyio.create_task_group() as tasks:
        lines.add(bytes(ROOM))
        lines.add(b"more")
        tasks.start_soon(lines.wait_for_room)
        tasks.start_soon(lines.flush)
        tasks.start_soon(lines.write)
        await anyio.wait_all_tasks_blocked()
        lines.add(bytes(ROOM + 1))
        reader.close()
        await lines.flush()
        await lines.wait_for_room()
