"""
How the cost of a call, memory and start grow with the number of plugins and calls, over a transport that does nothing.

    python -m benchmarks.scale [--rounds N] [--seconds S] [--plugins N] [--calls N] [--check]

Calls with many plugins configured are compared with calls of a single one: to one of them, and to all in turn. Many
concurrent calls are compared with a hundred: each waits for the next step of the event loop, and is followed by another
one; so are bare tasks that do only this, since their extra cost is not due to the calls. Then the memory of an idle
plugin and of a waiting call, and the time until a hundred plugins are ready whose connections are slow to open.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import math
import statistics
import sys
import time
import tracemalloc
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio

from benchmarks.rounds import Round, Slice, environment, load, measure, run_round, spread, steady_of
from remora import Call, HealthStatus, Manager, Reply, Status, TransportSpec, hookimpl
from remora.types import HealthChanged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from benchmarks.rounds import Contender
    from remora._pipeline import Pipeline
    from remora.protocols import Channel, Dispatch, Listener
    from remora.types import Endpoint

FLAT = 1.25
"""The largest allowed ratio between the cost of a call among many and among few."""

FEW = 100
"""Concurrent calls to compare many with; with only one, the step of the event loop would be most of the cost."""

_TIMEOUT = 60.0
_A_SECOND = 200_000
_OPENING = 0.2
_STARTED = 100
_REPLY = Reply(payload=b"x" * 100)
_CALL = Call(service="bench.v1.Null", method="Call", payload=b"x" * 100, request_id="0" * 32)


@dataclass(frozen=True)
class _Options:
    pass


async def _at_once() -> None:
    pass


class _Channel:
    def __init__(self, wait: Callable[[], Awaitable[object]]) -> None:
        self._wait = wait

    async def call(self, call: Call, /) -> Reply:
        await self._wait()
        return _REPLY

    async def probe(self) -> HealthStatus:
        return HealthStatus(status=Status.HEALTHY)


class _Extension:
    """
    A transport on which calls take as long as `wait`, and opening takes `opening` seconds.
    """

    def __init__(self, wait: Callable[[], Awaitable[object]] = _at_once, opening: float = 0.0) -> None:
        self._wait = wait
        self._opening = opening
        self.waiting: set[str] = set()
        self.all_healthy = anyio.Event()

    @hookimpl
    def remora_event(self, event: object) -> None:
        if isinstance(event, HealthChanged) and event.after is Status.HEALTHY:
            self.waiting.discard(event.plugin)
            if not self.waiting:
                self.all_healthy.set()

    @hookimpl
    def remora_register_transports(self) -> list[TransportSpec[_Options]]:
        build: Any = lambda _: self  # noqa: E731
        return [TransportSpec("null", ("null",), _Options, build, native_deadline=True)]

    @asynccontextmanager
    async def open(self, endpoint: Endpoint, /) -> AsyncIterator[Channel]:
        await anyio.sleep(self._opening)
        yield _Channel(self._wait)

    def listen(self, endpoint: Endpoint, dispatch: Dispatch, /) -> AbstractAsyncContextManager[Listener]:
        raise NotImplementedError


@asynccontextmanager
async def _ready(plugins: int, extension: _Extension) -> AsyncIterator[list[Pipeline]]:
    table = {"connection": {"max_connections": 1_000_000}}
    names = [f"p{number}" for number in range(plugins)]
    config = {
        "metrics": {"max_series": 100_000},
        "plugins": {name: {"endpoint": f"null:{name}", **table} for name in names},
    }
    extension.waiting = set(names)
    async with Manager(config, extensions=[extension]) as manager:
        await extension.all_healthy.wait()
        yield [manager._fleet.caller(name).pipeline for name in names]


def calls_among(plugins: int, called: int) -> Contender:
    """
    Calls of the first `called` of `plugins` plugins, in turn.
    """

    async def contender(seconds: float) -> Slice:
        async with _ready(plugins, _Extension()) as pipelines:
            for pipeline in pipelines:  # the first call of a method creates its metrics
                await pipeline(_CALL, _TIMEOUT)
            turns = itertools.cycle(pipelines[:called])

            def call() -> Awaitable[Reply]:
                return next(turns)(_CALL, _TIMEOUT)

            return await measure(call, seconds)

    return contender


def calls_under_way(callers: int) -> Contender:
    """
    `callers` concurrent calls, each until the next step of the event loop; in all as many as take about a second.
    """

    async def contender(seconds: float) -> Slice:
        async with _ready(1, _Extension(lambda: asyncio.sleep(0))) as (pipeline,):
            return await _keep_under_way(callers, round(seconds * _A_SECOND), lambda: pipeline(_CALL, _TIMEOUT))

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


async def memory_of_plugins(count: int) -> float:
    """
    Bytes per plugin, for `count` open and idle plugins.
    """
    async with _ready(1, _Extension()):  # leaves out what exists only once
        gc.collect()
    before, _ = tracemalloc.get_traced_memory()
    async with _ready(count, _Extension()):
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    return (after - before) / count


async def memory_of_calls(count: int) -> tuple[float, float]:
    """
    Bytes per waiting call, for `count` of them, and per task that waits in the same way without a call.
    """
    release = anyio.Event()
    alone = whole = 0.0
    async with _ready(1, _Extension(release.wait)) as (pipeline,), anyio.create_task_group() as group:
        alone = await _taken(group, release.wait, count)
        whole = await _taken(group, lambda: pipeline(_CALL, _TIMEOUT), count)
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
    async with _ready(count, _Extension(opening=_OPENING)):
        return time.perf_counter() - began


def main() -> int:
    """
    Measure, print, and compare with the targets.
    """
    options = _arguments()
    print(environment("remora", "anyio"))
    print(f"load before: {load()}\n")
    missed = False
    for name, (contender, peer, target) in _pairs(options.plugins, options.calls).items():
        rounds = [run_round(contender, peer, options.seconds) for _ in range(options.rounds)]
        missed |= _report(name, rounds, target)
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


def _pairs(plugins: int, calls: int) -> dict[str, tuple[Contender, Contender, float]]:
    lonely = calls_among(1, 1)
    return {
        f"one of {plugins} plugins is called / the only one": (calls_among(plugins, 1), lonely, FLAT),
        f"{plugins} plugins are called in turn / the only one": (calls_among(plugins, plugins), lonely, math.inf),
        f"{calls} calls under way / {FEW}": (calls_under_way(calls), calls_under_way(FEW), math.inf),
        f"{calls} tasks without a call / {FEW}": (tasks_under_way(calls), tasks_under_way(FEW), math.inf),
    }


def _report(name: str, rounds: list[Round], target: float) -> bool:
    print(name)
    if not (steady := steady_of(rounds)):
        return True
    ratio = statistics.median(each.ratio for each in steady)
    print(f"us of CPU per call: {spread([each.ours.cost for each in steady], 1)}")
    print(f"       of the peer: {spread([each.peer_cost for each in steady], 1)}")
    print(f"ratio:              {spread([each.ratio for each in steady], 2)}")
    if target < math.inf:
        print(f"{'met' if ratio <= target else 'MISSED'}: at most {target:g}")
    print()
    return ratio > target


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
