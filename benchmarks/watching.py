"""
How soon a changed file is noticed, compared with a bare watchfiles that watches such a folder and reads the file.

    python -m benchmarks.watching [--changes N] [--backend asyncio trio]

Files are replaced by renaming; ours and the peer's change alternately, so that other load of the machine affects both.
Ours waits until the content has been stable for 0.1 s and parses it; the peer reports what it reads.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import sys
import tempfile
from functools import partial
from itertools import product
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import anyio
from watchfiles import awatch

from benchmarks.machine import environment, load
from benchmarks.rounds import spread
from remora._watch import content_of, watch_config
from remora.config import LoadedConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from anyio.abc import TaskGroup, TaskStatus
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    from remora import ConfigError

WITHIN = 0.5
"""The longest allowed median of the seconds until a change is noticed."""


async def bare(
    file: Path, send: MemoryObjectSendStream[object], *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """
    Watch a file as one would without Remora.
    """
    task_status.started()
    async for _ in awatch(file.parent, recursive=False):
        await send.send(int((await anyio.Path(file).read_text()).split()[-1]))


async def ours(
    file: Path, send: MemoryObjectSendStream[object], *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    """
    Watch a file as a manager does with `watch=True`, without the reload.
    """

    async def report(found: LoadedConfig | ConfigError) -> None:
        assert isinstance(found, LoadedConfig), found
        await send.send(found.config.plugins["p"].instances)

    await watch_config(file, report, known=content_of(file), rescan=3600, task_status=task_status)


async def measure(changes: int) -> dict[str, list[float]]:
    """
    The seconds from each change to its report, by reporter.
    """
    taken: dict[str, list[float]] = {"remora": [], "watchfiles": []}
    with tempfile.TemporaryDirectory() as folder:
        async with anyio.create_task_group() as group:
            places = {"remora": await watched(Path(folder, "ours"), ours, group)}
            places["watchfiles"] = await watched(Path(folder, "bare"), bare, group)
            await anyio.sleep(0.5)  # a bare watch does not tell when it has begun
            for number, (name, place) in product(range(2, changes + 2), places.items()):
                taken[name].append(await change(*place, number))
            group.cancel_scope.cancel()
    return taken


async def watched(
    folder: Path, watch: Callable[..., Coroutine[Any, Any, None]], group: TaskGroup
) -> tuple[Path, MemoryObjectReceiveStream[object]]:
    """
    A file that `watch` watches in a folder of its own, and the stream of its reports.
    """
    send, receive = anyio.create_memory_object_stream[object](99)
    os.mkdir(folder)
    file = folder / "remora.toml"
    put(file, 1)
    await group.start(watch, file, send)
    return file, receive


async def change(file: Path, receive: MemoryObjectReceiveStream[object], number: int) -> float:
    """
    Change a file, and return the seconds until this is reported.
    """
    begun = monotonic()
    put(file, number)
    with anyio.fail_after(30):
        while await receive.receive() != number:
            pass
    return monotonic() - begun


def put(file: Path, number: int) -> None:
    """
    Replace the file with one that contains `number`.
    """
    new = file.with_name(".new")
    new.write_text(f'[plugins.p]\nendpoint = "http://h"\ninstances = {number}\n')
    os.replace(new, file)


def main() -> int:
    """
    Measure and print; returns 1 when the median is too long.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watching", description="how soon a change is known")
    parser.add_argument("--changes", type=int, default=30, help="how many of each")
    parser.add_argument("--backend", nargs="+", default=["asyncio", "trio"], choices=["asyncio", "trio"])
    options = parser.parse_args()
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    print(environment("remora", "watchfiles"))
    print(f"load before: {load()}")
    are_met = [
        show(backend, anyio.run(partial(measure, options.changes), backend=backend)) for backend in options.backend
    ]
    print(f"load after:  {load()}")
    return 0 if all(are_met) else 1


def show(backend: str, taken: dict[str, list[float]]) -> bool:
    """
    Print the figures of an event loop, and return whether they are good enough.
    """
    is_met = statistics.median(taken["remora"]) < WITHIN
    for name, seconds in taken.items():
        print(f"{backend}: {name:<11} {spread(seconds, 3)} s from a change to its report")
    late = sum(each >= WITHIN for each in taken["remora"])
    print(f"{'met' if is_met else 'MISSED'}: at most {WITHIN:g} s; {late} of {len(taken['remora'])} took longer")
    return is_met


if __name__ == "__main__":
    sys.exit(main())
