"""
Reloads under load: calls without pause over all four transports, while the configuration changes a hundred times.

    python -m benchmarks.reload --reloads 100 --backend trio

Every call must be answered, and reach a plugin once: nothing is retried here. The process must not have more
descriptors than at the start. If one of these rules is broken, the program exits with 1.
"""

from __future__ import annotations

import argparse
import gc
import random
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from benchmarks.long_run import run_through, until_ready, usage
from benchmarks.reload_books import Books, at_work, musts_of
from benchmarks.reload_edits import Edits
from benchmarks.soak_chaos import serving
from remora import Manager, ReloadOptions, ReloadReport

if TYPE_CHECKING:
    from pathlib import Path

BROKEN = 10
"""Every tenth reload is one that must fail."""


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
