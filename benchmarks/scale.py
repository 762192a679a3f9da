"""
How the cost of a call, memory and start grow with the number of plugins and calls.

    python -m benchmarks.scale [--rounds N] [--seconds S] [--plugins N] [--calls N] [--check]

Nearly all of it is measured over a transport that does nothing. Calls with many plugins configured are compared with
calls of a single one: to one of them, and to all in turn. Many concurrent calls are compared with a single one and with
a hundred: each waits for the next step of the event loop, and is followed by another one; so are bare tasks that do
only this, since their extra cost is not due to the calls. Over a Unix socket, calls one after the other are compared
with the same while the plugin holds one call, and many. Then the memory of an idle plugin and of a waiting call, and
the time until a hundred plugins are ready whose connections are slow to open.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import math
import statistics
import sys
import tempfile
import time
import tracemalloc
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from benchmarks.held import calls_beside
from benchmarks.machine import environment, load
from benchmarks.null import CALL, NullTransport
from benchmarks.placement import placements
from benchmarks.rounds import Slice, measure, run_round, spread, steady_of, verdict
from benchmarks.servers import running
from remora import Manager

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from benchmarks.placement import Placement
    from benchmarks.rounds import Contender
    from remora import Reply
    from remora._calls._pipeline import Pipeline

FLAT = 1.25
"""The largest allowed ratio between the cost of a call among many and among few."""

FEW = 100
"""Concurrent calls that share the step of the event loop; a single one has it for itself, which is most of its cost."""

_TIMEOUT = 60.0
_A_SECOND = 200_000
_OPENING = 0.2
_STARTED = 100


@asynccontextmanager
async def _ready(plugins: int, extension: NullTransport) -> AsyncIterator[list[Pipeline]]:
    table = {"connection": {"max_connections": 1_000_000}}
    names = [f"p{number}" for number in range(plugins)]
    config = {
        "metrics": {"max_series": 100_000},
        "plugins": {name: {"endpoint": f"null:{name}", **table} for name in names},
    }
    extension.expect(set(names))
    async with Manager(config, extensions=[extension]) as manager:
        await extension.until_healthy()
        yield [manager._fleet.caller(name).pipeline for name in names]


def calls_among(plugins: int, called: int) -> Contender:
    """
    Calls of the first `called` of `plugins` plugins, in turn.
    """

    async def contender(seconds: float) -> Slice:
        async with _ready(plugins, NullTransport()) as pipelines:
            for pipeline in pipelines:  # the first call of a method creates its metrics
                await pipeline(CALL, _TIMEOUT)
            turns = itertools.cycle(pipelines[:called])

            def call() -> Awaitable[Reply]:
                return next(turns)(CALL, _TIMEOUT)

            return await measure(call, seconds)

    return contender


def calls_under_way(callers: int) -> Contender:
    """
    `callers` concurrent calls, each until the next step of the event loop; in all as many as take about a second.
    """

    async def contender(seconds: float) -> Slice:
        async with _ready(1, NullTransport(lambda: asyncio.sleep(0))) as (pipeline,):
            return await _keep_under_way(callers, round(seconds * _A_SECOND), lambda: pipeline(CALL, _TIMEOUT))

    return contender


def tasks_under_way(tasks: int) -> Contender:
    """
    As many tasks that only wait for the next step.
    """

    async def contender(seconds: float) -> Slice:
        return await _keep_under_way(tasks, round(seconds * _A_SECOND), lambda: asyncio.sleep(0))

    return contender


async def _keep_under_way(callers: int, calls: int, call: Callable[[], Awaitable[object]]) -> Slice:
    gate, each = anyio.Event(), max(1, calls // callers)
    wall = cpu = 0.0

    async def keep_calling() -> None:
        await call()  # warm up
        await gate.wait()
        for _ in range(each):
            await call()

    async with anyio.create_task_group() as group:
        for _ in range(callers):
            group.start_soon(keep_calling)
        await anyio.wait_all_tasks_blocked()
        gc.collect()
        wall, cpu = time.perf_counter(), time.process_time()
        gate.set()
    return Slice(callers * each, time.process_time() - cpu, time.perf_counter() - wall)


@dataclass(frozen=True, slots=True)
class _Pair:
    """
    Two contenders, and how much more the first may cost.
    """

    name: str
    ours: Contender
    peer: Contender
    target: float = math.inf
    backend: str = "asyncio"

    def report(self, rounds: int, seconds: float) -> bool:
        """
        Measure and print; returns whether the target is missed.
        """
        print(self.name)
        loops = {"backend": self.backend, "peer_backend": self.backend}
        steady = steady_of([run_round(self.ours, self.peer, seconds, **loops) for _ in range(rounds)])
        if not steady:
            return True
        ratio = statistics.median(each.ratio for each in steady)
        print(f"us of CPU per call: {spread([each.ours.cost for each in steady], 1)}")
        print(f"       of the peer: {spread([each.peer_cost for each in steady], 1)}")
        print(f"ratio:              {spread([each.ratio for each in steady], 2)}")
        if self.target < math.inf:
            print(f"{verdict(ratio, self.target)}: at most {self.target:g}")
        print()
        return ratio > self.target


async def memory_of_plugins(count: int) -> float:
    """
    Bytes per plugin, for `count` open and idle plugins.
    """
    async with _ready(1, NullTransport()):  # leaves out what exists only once
        gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    async with _ready(count, NullTransport()):
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    return (after - before) / count


async def memory_of_calls(count: int) -> tuple[float, float]:
    """
    Bytes per waiting call, for `count` of them, and per task that waits in the same way without a call.
    """
    release = anyio.Event()
    alone = whole = 0.0
    async with _ready(1, NullTransport(release.wait)) as (pipeline,), anyio.create_task_group() as group:
        alone = await _taken(group, release.wait, count)
        whole = await _taken(group, lambda: pipeline(CALL, _TIMEOUT), count)
        release.set()
    return whole - alone, alone


async def _taken(group: anyio.abc.TaskGroup, wait: Callable[[], Awaitable[object]], count: int) -> float:
    async def one() -> None:
        await wait()

    gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(count):
        group.start_soon(one)
    await anyio.wait_all_tasks_blocked()
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    return (after - before) / count


async def start_up(count: int) -> float:
    """
    Seconds until `count` plugins are ready, each of which is slow to open.
    """
    began = time.perf_counter()
    async with _ready(count, NullTransport(opening=_OPENING)):
        return time.perf_counter() - began


def main() -> int:
    """
    Measure, print, and compare with the targets.
    """
    options = _arguments()
    print(environment("remora", "anyio"))
    print(f"load before: {load()}\n")
    placement = placements()["apart"]
    placement.take()
    missed = False
    with tempfile.TemporaryDirectory() as folder, ExitStack() as servers:
        beside = _over_unix(Path(folder), servers, placement, options.calls)
        for pair in [*_alone(options.plugins, options.calls), *beside]:
            missed |= pair.report(options.rounds, options.seconds)
    tracemalloc.start()
    plugin = anyio.run(memory_of_plugins, options.plugins)
    call, task = anyio.run(memory_of_calls, options.calls)
    tracemalloc.stop()
    print(f"memory: {plugin / 1024:.1f} KiB for an idle plugin, {call / 1024:.1f} KiB for a call that waits")
    print(f"        beside {task / 1024:.1f} KiB for a task that waits without one")
    took = anyio.run(start_up, _STARTED)
    print(f"start-up: {_STARTED} plugins of {_OPENING:g} s each are ready after {took:.2f} s")
    print(f"\nload after: {load()}")
    return 1 if options.check and missed else 0


def _alone(plugins: int, calls: int) -> list[_Pair]:
    lonely = calls_among(1, 1)
    many = calls_under_way(calls)
    return [
        _Pair(f"one of {plugins} plugins is called / the only one", calls_among(plugins, 1), lonely, FLAT),
        _Pair(f"{plugins} plugins are called in turn / the only one", calls_among(plugins, plugins), lonely),
        _Pair(f"{calls} calls under way / a single one", many, calls_under_way(1), FLAT),
        _Pair(f"{calls} calls under way / {FEW}", many, calls_under_way(FEW)),
        _Pair(f"{calls} tasks without a call / {FEW}", tasks_under_way(calls), tasks_under_way(FEW)),
    ]


def _over_unix(folder: Path, servers: ExitStack, placement: Placement, held: int) -> Iterator[_Pair]:
    """
    Compared with one other call, because a lone caller on trio reads its reply itself.
    """
    for backend in ("asyncio", "trio"):
        address = f"unix://{folder}/{backend}"
        servers.enter_context(running("remora", address, backend, placement=placement))
        name = f"a call over a Unix socket on {backend} while {held} others wait / while one does"
        yield _Pair(name, calls_beside(address, held), calls_beside(address, 1), FLAT, backend)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description="the cost of a call among many")
    parser.add_argument("--rounds", type=int, default=7, help="how often each pair is run")
    parser.add_argument("--seconds", type=float, default=0.3, help="the length of a slice")
    parser.add_argument("--plugins", type=int, default=1000, help="how many plugins many are")
    parser.add_argument("--calls", type=int, default=10_000, help="how many calls under way many are")
    parser.add_argument("--check", action="store_true", help="fail when a call among many costs more than allowed")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
