"""
A soak test: calls without pause while their plugins are killed, stopped, garbled and restarted; then a report.

    python -m benchmarks.soak --minutes 10 --backend trio

Every call must end: with its own reply, or with an error of Remora. No call that may be made only once may reach a
plugin twice. The number of threads must not grow, and nothing may be left when the manager is closed. If one of these
rules is broken, the program exits with 1.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import sys
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from typing import IO, TYPE_CHECKING, Any

import anyio

from benchmarks.long_run import growth, run_through, until_ready, usage
from benchmarks.soak_chaos import Chaos, Server, free_port, serving
from benchmarks.soak_plugin import Done
from remora import Manager, Plugin, RemoraError

if TYPE_CHECKING:
    from pathlib import Path

WORKERS = 4
"""Callers per plugin."""


@dataclass
class Books:
    """
    Counts of what happened to the calls, and samples of what the process used.

    Attributes:
        once: The calls that may be made only once and have been answered. What grew in memory would look like a leak.
    """

    once: IO[str]
    asked: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    untyped: Counter[str] = field(default_factory=Counter)
    mixed_up: int = 0
    ended: int = 0
    memory: list[tuple[float, int]] = field(default_factory=list)
    most_descriptors: int = 0
    most_tasks: int = 0
    threads: list[int] = field(default_factory=list)


def configuration(folder: Path, backend: str) -> tuple[dict[str, Any], dict[str, Server]]:
    """
    One plugin per transport, and the servers of those that the host does not start.
    """
    log = folder / "log"
    addresses = {"unix": f"unix:{folder}/socket", "http": f"http://127.0.0.1:{free_port()}"}
    servers = {name: Server(address, log, backend) for name, address in addresses.items()}
    child = {
        "endpoint": f"exec:{sys.executable}",
        "args": ["-m", "benchmarks.soak_plugin", str(log), backend],
        "env": {"PYTHONPATH": os.getcwd()},
        "options": {"stop_grace": 0.5, "term_grace": 0.5},
    }
    common = {
        "service": "soak.v1.Ledger",
        "circuit_breaker": {"recovery_timeout": 0.5},
        "health_check": {"interval": 2, "timeout": 1},
    }
    plugins = {
        "ttrpc": {**child, **common},
        "jsonl": {**child, **common, "protocol": "jsonl"},
        **{name: {"endpoint": address, **common} for name, address in addresses.items()},
    }
    return {"log_level": "error", "plugins": plugins}, servers


async def soak(seconds: float, backend: str, *, seed: int, folder: Path, pause: float) -> dict[str, Any]:
    """
    Run everything, and return the report.
    """
    rng = random.Random(seed)
    config, servers = configuration(folder, backend)
    before = usage()
    with (folder / "once").open("w") as once, serving(servers.values()):
        books = Books(once)
        async with Manager(config, rng=random.Random(seed)) as manager:
            chaos = Chaos(manager, servers, rng=rng)
            await until_ready(manager)
            async with anyio.create_task_group() as tasks:
                garblers = {name: manager.plugin(name, int, Done, method="garble") for name in config["plugins"]}
                tasks.start_soon(partial(chaos.run, garblers, pause=pause))
                tasks.start_soon(watch, books)
                await load(manager, list(config["plugins"]), books, chaos, seconds)
                tasks.cancel_scope.cancel()
    await anyio.sleep(0.2)  # asyncio closes its transports in a later step of the loop
    gc.collect()  # frees what the errors of failed connections still hold
    return report(books, chaos, folder, before, usage(), seed=seed)


async def load(manager: Manager, names: list[str], books: Books, chaos: Chaos, seconds: float) -> None:
    """
    Call all plugins for `seconds`; returns when every call has ended.
    """
    ends = anyio.current_time() + seconds
    async with anyio.create_task_group() as tasks:
        for name in names:
            for worker in range(WORKERS):
                method = "add" if worker % 2 else "look"
                plugin = manager.plugin(name, int, Done, method=method)
                tasks.start_soon(work, name, plugin, method == "add", books, chaos, ends)


async def work(name: str, plugin: Plugin[int, Done], is_once: bool, books: Books, chaos: Chaos, ends: float) -> None:
    """
    Make one call after the other.
    """
    while anyio.current_time() < ends:
        books.asked += 1
        token = books.asked
        try:
            done = await plugin.execute(token, timeout=2, idempotent=not is_once)
        except RemoraError as error:
            books.failed[type(error).__name__] += 1
        except Exception as error:  # what must not happen
            books.untyped[type(error).__name__] += 1
        else:
            books.answered[name] += 1
            books.mixed_up += done.token != token
            books.once.write(f"{token}\n" if is_once else "")
            chaos.pids[name] = done.pid
        books.ended += 1
        await anyio.sleep(0.01)


async def watch(books: Books) -> None:
    """
    Sample once a second what the process uses.
    """
    while True:
        now = usage()
        books.memory.append((anyio.current_time(), now["memory"]))
        books.most_descriptors = max(books.most_descriptors, now["descriptors"])
        books.most_tasks = max(books.most_tasks, now["tasks"])
        books.threads.append(now["threads"])
        await anyio.sleep(1)


def slope(samples: list[tuple[float, int]]) -> float:
    """
    The growth of memory in the second half, by least squares, in KiB per minute.
    """
    half = samples[len(samples) // 2 :]
    middle = sum(time for time, _ in half) / max(1, len(half))
    spread = sum((time - middle) ** 2 for time, _ in half)
    return sum((time - middle) * size for time, size in half) / spread * 60 / 1024 if spread else 0.0


def report(
    books: Books, chaos: Chaos, folder: Path, before: dict[str, int], after: dict[str, int], *, seed: int
) -> dict[str, Any]:
    """
    The figures, and under `broken` the rules that were not kept.
    """
    reached = Counter(map(int, (folder / "log").read_text().split()))
    once = map(int, (folder / "once").read_text().split())
    musts = {
        "lost": books.asked - books.ended + sum(token not in reached for token in once),
        "duplicated": sum(count > 1 for count in reached.values()),
        "mixed up": books.mixed_up,
        "untyped": sum(books.untyped.values()),
        "descriptors left": max(0, after["descriptors"] - before["descriptors"]),
        "tasks left": max(0, after["tasks"] - before["tasks"]),
        "children left": max(0, after["children"] - before["children"]),
        "threads grown": growth(books.threads),
    }
    return {
        "seed": seed,
        "asked": books.asked,
        "answered": dict(books.answered),
        "failed typed": dict(books.failed),
        "failed untyped": dict(books.untyped),
        "chaos": dict(chaos.acts),
        "most descriptors": books.most_descriptors,
        "most tasks": books.most_tasks,
        "most threads": max(books.threads, default=0),
        "memory in MiB": round(after["memory"] / 2**20, 1),
        "memory slope in KiB a minute": round(slope(books.memory), 1),
        **musts,
        "broken": [name for name, count in musts.items() if count],
    }


def main() -> None:
    """
    Run with the options of the command line, and print the report.
    """
    parser = argparse.ArgumentParser(description="call plugins that keep breaking, and count")
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    parser.add_argument("--pause", type=float, default=0.5, help="seconds between two acts of chaos")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    options = parser.parse_args()
    job = partial(soak, options.minutes * 60, options.backend, seed=options.seed, pause=options.pause)
    run_through("soak", job, backend=options.backend)


if __name__ == "__main__":
    main()
