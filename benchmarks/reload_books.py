"""
Calls without pause while the configuration changes, and the books that are kept of them.
"""

from __future__ import annotations

from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from benchmarks.soak_plugin import Done
from remora import Manager, Plugin, RemoraError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

WORKERS = 3
"""Callers per plugin."""


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
