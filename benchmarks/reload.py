"""
Reloads under load: calls without pause over all four transports, while the configuration changes a hundred times.

    python -m benchmarks.reload --reloads 100 --backend trio

Every call must be answered, and reach a plugin once: nothing is retried here. The process must not have more
descriptors than at the start. If one of these rules is broken, the program exits with 1.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import sys
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from benchmarks.long_run import run_through, until_ready, usage
from benchmarks.soak_chaos import Server, free_port, serving
from benchmarks.soak_plugin import Done
from remora import Manager, Plugin, ReloadOptions, ReloadReport, RemoraError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

WORKERS = 3
"""Callers per plugin."""

BROKEN = 10
"""Every tenth reload is one that must fail."""

Tables = dict[str, dict[str, Any]]


@dataclass
class Books:
    """
    Counts of what happened.
    """

    asked: int = 0
    answered: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    mixed_up: int = 0
    actions: Counter[str] = field(default_factory=Counter)
    applied: int = 0
    rolled_back: int = 0
    wrong: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    descriptors: list[int] = field(default_factory=list)


class Edits:
    """
    The configuration, and the edits that an operator makes.
    """

    def __init__(self, folder: Path, backend: str, rng: random.Random) -> None:
        log = folder / "log"
        self._rng = rng
        self._child = [sys.executable, "-m", "benchmarks.soak_plugin", str(log), backend]
        self.places = {
            "unix": [f"unix:{folder}/{name}" for name in "ab"],
            "http": [f"http://127.0.0.1:{free_port()}" for _ in "ab"],
            "grpc": [f"grpc://127.0.0.1:{free_port()}" for _ in "ab"],
        }
        self.servers = [Server(each, log, backend) for places in self.places.values() for each in places]
        self.tables: Tables = {name: {"endpoints": places[:1], **_common()} for name, places in self.places.items()}
        self.tables["exec"] = {
            "endpoint": f"exec:{self._child[0]}",
            "args": self._child[1:],
            "env": {"PYTHONPATH": os.getcwd()},
            **_common(),
        }

    def next(self) -> Tables:
        """
        The plugins' tables after the next edit.
        """
        self._rng.choice([self._retarget, self._retarget, self._reweight, self._relimit, self._extra])()
        return self.tables

    def broken(self) -> Tables:
        """
        The plugins' tables after an edit that must fail.
        """
        name = self._rng.choice([*self.places])
        nowhere = "unix:/nowhere/at/all" if name == "unix" else f"{name}://127.0.0.1:{free_port()}"
        return {**self.tables, name: {"endpoint": nowhere, **_common()}}

    def _retarget(self) -> None:
        """
        Change the endpoints, or the child's environment, which takes a new process.
        """
        name = self._rng.choice([*self.tables])
        if name in self.places:
            chosen = self._rng.sample(self.places[name], self._rng.randrange(1, 3))
            self.tables[name] = {**self.tables[name], "endpoints": chosen}
        elif name == "exec":
            env = {"PYTHONPATH": os.getcwd(), "EDITION": str(self._rng.randrange(10**6))}
            self.tables[name] = {**self.tables[name], "env": env, "instances": self._rng.randrange(1, 3)}

    def _reweight(self) -> None:
        name = self._rng.choice([*self.places])
        endpoints = [{"url": url, "weight": self._rng.randrange(1, 9)} for url in self.places[name]]
        self.tables[name] = {**self.tables[name], "endpoints": endpoints}

    def _relimit(self) -> None:
        name = self._rng.choice([*self.places, "exec"])
        limits = {
            "connection": {"max_connections": self._rng.randrange(2, 20)},
            "rate_limit": {
                "enabled": True,
                "requests_per_second": self._rng.randrange(9_000, 19_000),
                "burst_size": 999,
            },
            "circuit_breaker": {"failure_threshold": self._rng.randrange(1, 9)},
        }
        self.tables[name] = {**self.tables[name], **limits}

    def _extra(self) -> None:
        """
        Add a plugin, or remove one.
        """
        if self.tables.pop("extra", None) is None:
            self.tables["extra"] = {"endpoint": self.places["http"][1], "requires": ["http"], **_common()}


def _common() -> dict[str, Any]:
    return {"service": "soak.v1.Ledger", "retry": {"max_retries": 0}}


async def run(reloads: int, backend: str, *, seed: int, folder: Path, strategy: Any) -> dict[str, Any]:
    """
    Run everything, and return the report.
    """
    rng, books = random.Random(seed), Books()
    edits, before = Edits(folder, backend, rng), usage()
    config = {"log_level": "error", "plugins": edits.tables}
    with serving(edits.servers):
        async with Manager(config, rng=random.Random(seed)) as manager:
            await until_ready(manager)
            async with at_work(manager, list(edits.tables), books):
                for number in range(1, reloads + 1):
                    await edit(manager, edits, books, ReloadOptions(strategy=strategy), is_good=number % BROKEN > 0)
    await anyio.sleep(0.2)  # asyncio closes its transports in a later step of the loop
    gc.collect()
    return report(books, folder / "log", before, usage(), seed=seed)


@asynccontextmanager
async def at_work(manager: Manager, names: Iterable[str], books: Books) -> AsyncIterator[None]:
    """
    Keep calling the plugins while the context lasts.
    """
    async with anyio.create_task_group() as tasks:
        is_over = anyio.Event()
        for name in names:
            for _ in range(WORKERS):
                tasks.start_soon(work, manager.plugin(name, int, Done, method="add"), books, is_over)
        yield
        is_over.set()


async def edit(manager: Manager, edits: Edits, books: Books, options: ReloadOptions, *, is_good: bool) -> None:
    """
    Make one reload.
    """
    started = anyio.current_time()
    if is_good:
        note(books, await manager.reload({"log_level": "error", "plugins": edits.next()}, options), is_good=True)
    else:
        short = ReloadOptions(health_check_timeout=0.5)
        note(books, await manager.reload({"log_level": "error", "plugins": edits.broken()}, short), is_good=False)
    books.seconds.append(anyio.current_time() - started)
    books.descriptors.append(usage()["descriptors"])
    await anyio.sleep(0.02)


def note(books: Books, result: ReloadReport, *, is_good: bool) -> None:
    """
    Count the outcome of a reload.
    """
    books.applied += result.applied
    books.rolled_back += result.rolled_back
    books.actions.update(str(each.action) for each in result.plugins.values() if each.action != "unchanged")
    if result.applied != is_good:
        books.wrong.append(str(result.error))


async def work(plugin: Plugin[int, Done], books: Books, is_over: anyio.Event) -> None:
    """
    Make one call after the other.
    """
    while not is_over.is_set():
        books.asked += 1
        token = books.asked
        try:
            done = await plugin.execute(token)
        except RemoraError as error:
            books.failed[f"{type(error).__name__}: {error}"] += 1
        else:
            books.answered += 1
            books.mixed_up += done.token != token
        await anyio.sleep(0.005)


def musts_of(books: Books, log: Path, before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """
    The counts that must be 0: lost and repeated calls, failed changes, leaked resources.
    """
    reached = Counter(map(int, log.read_text().split()))
    return {
        "failed": sum(books.failed.values()),
        "duplicated": sum(count > 1 for count in reached.values()),
        "never arrived": books.asked - len(reached.keys() - {0}),
        "mixed up": books.mixed_up,
        "reloads that went wrong": len(books.wrong),
        "descriptors left": max(0, after["descriptors"] - before["descriptors"]),
        "children left": max(0, after["children"] - before["children"]),
    }


def report(books: Books, log: Path, before: dict[str, int], after: dict[str, int], *, seed: int) -> dict[str, Any]:
    """
    The figures, and under `broken` the rules that were not kept.
    """
    musts = musts_of(books, log, before, after)
    third = len(books.descriptors) // 3
    return {
        "seed": seed,
        "asked": books.asked,
        "answered": books.answered,
        "errors": dict(books.failed),
        "reloads applied": books.applied,
        "reloads rolled back": books.rolled_back,
        "actions": dict(books.actions),
        "wrong": books.wrong,
        "seconds of a reload, median and longest": [
            round(sorted(books.seconds)[len(books.seconds) // 2], 3),
            round(max(books.seconds), 3),
        ],
        "descriptors before, most in the first and the last third, after": [
            before["descriptors"],
            max(books.descriptors[:third] or [0]),
            max(books.descriptors[-third:] or [0]),
            after["descriptors"],
        ],
        **musts,
        "broken": [name for name, count in musts.items() if count],
    }


def main() -> None:
    """
    Run with the options of the command line, and print the report.
    """
    parser = argparse.ArgumentParser(description="reload under load, and count")
    parser.add_argument("--reloads", type=int, default=100)
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    parser.add_argument("--strategy", choices=["graceful", "rolling", "recreate"], default="graceful")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    options = parser.parse_args()
    job = partial(run, options.reloads, options.backend, seed=options.seed, strategy=options.strategy)
    run_through("reload", job, backend=options.backend)


if __name__ == "__main__":
    main()
