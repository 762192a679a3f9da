"""
An operator who makes mistakes: calls without pause over all four transports, while the configuration file that the host
watches is edited in every way, good and bad, and is replaced by things that are not files.

    python -m benchmarks.edits --seconds 30 --backend trio

Every call must be answered, and reach a plugin once. In the end the last edit must be in force, and the process must
have no more descriptors and children than at the start. If one of these rules is broken, the program exits with 1.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from benchmarks.long_run import run_through, until_ready, usage
from benchmarks.reload_books import Books, at_work, musts_of
from benchmarks.reload_edits import Edits
from benchmarks.soak_chaos import serving
from remora import Manager, ReloadOptions, RemoraError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

PAUSES = [0.0, 0.02, 0.15, 0.15, 0.4]
"""Seconds between two edits: less than, as much as and more than a change needs to be noticed."""

NAMES = ["http", "unix", "grpc", "exec"]


class Operator:
    """
    Edits the file, well and badly.
    """

    def __init__(self, file: Path, edits: Edits, rng: random.Random) -> None:
        self.acts = Counter[str]()
        self._file = file
        self._edits = edits
        self._rng = rng
        self._good: list[Callable[[], object]] = [edits.next, edits.next, self._swap, self._rename, self._switch]
        self._bad: list[Callable[[], Awaitable[None]]] = [
            self._vanish,
            self._fold,
            self._pipe,
            self._garbage,
            self._cut,
            self._bloat,
            self._slowly,
            self._nowhere,
        ]

    async def act(self) -> None:
        """
        Do one random thing to the file.
        """
        if self._rng.random() < 0.3:
            bad = self._rng.choice(self._bad)
            await bad()
            self.acts[bad.__name__.strip("_")] += 1
        else:
            good = self._rng.choice(self._good)
            good()
            self.put(self.text())
            self.acts[good.__name__.strip("_")] += 1

    def text(self, tables: dict[str, Any] | None = None) -> str:
        """
        The content for the file.
        """
        metrics = {"export_interval": self._rng.randrange(1, 30)}
        return json.dumps({"log_level": "error", "plugins": tables or self._edits.tables, "metrics": metrics})

    def put(self, text: str) -> None:
        """
        Replace the file, or write to it in place.
        """
        if self._rng.random() < 0.5 or not self._file.is_file():
            self._clear()
            new = self._file.with_name(".new")
            new.write_text(text)
            os.replace(new, self._file)
        else:
            self._file.write_text(text)

    def _clear(self) -> None:
        if self._file.is_dir():
            shutil.rmtree(self._file)
        else:
            self._file.unlink(missing_ok=True)

    def _swap(self) -> None:
        """
        Swap the endpoints of two plugins, and with them their transports.
        """
        tables, (one, other) = self._edits.tables, self._rng.sample(["http", "unix", "grpc"], 2)
        places = tables[one]["endpoints"], tables[other]["endpoints"]
        tables[one], tables[other] = (
            {**tables[one], "endpoints": places[1]},
            {**tables[other], "endpoints": places[0]},
        )

    def _rename(self) -> None:
        for name in self._extras():
            self._edits.tables[f"extra{self._rng.randrange(9)}"] = self._edits.tables.pop(name)

    def _switch(self) -> None:
        """
        Disable and enable a plugin, even while the last change is still draining.
        """
        for name in self._extras():
            table = self._edits.tables[name]
            self._edits.tables[name] = {**table, "enabled": not table.get("enabled", True)}

    def _extras(self) -> list[str]:
        return [name for name in self._edits.tables if name.startswith("extra")]

    async def _vanish(self) -> None:
        self._clear()

    async def _fold(self) -> None:
        self._clear()
        self._file.mkdir()

    async def _pipe(self) -> None:
        self._clear()
        os.mkfifo(self._file)

    async def _garbage(self) -> None:
        self._clear()
        self._file.write_bytes(os.urandom(500))

    async def _cut(self) -> None:
        self._clear()
        self._file.write_text(self.text()[: self._rng.randrange(200)])

    async def _bloat(self) -> None:
        self._clear()
        self._file.touch()
        os.truncate(self._file, 50_000_000)

    async def _slowly(self) -> None:
        """
        Write in four parts, with pauses that may be longer than a change needs to be noticed.
        """
        self._clear()
        text = self.text()
        step = len(text) // 4 + 1
        with open(self._file, "w", encoding="utf-8") as file:  # noqa: ASYNC230  # as an editor would
            for start in range(0, len(text), step):
                file.write(text[start : start + step])
                file.flush()
                await anyio.sleep(self._rng.uniform(0, 0.15))

    async def _nowhere(self) -> None:
        self.put(self.text(self._edits.broken()))


async def run(seconds: float, backend: str, *, seed: int, folder: Path) -> dict[str, Any]:
    """
    Run everything, and return the report.
    """
    rng, books = random.Random(seed), Books()
    edits, before = Edits(folder, backend, rng), usage()
    file = folder / "conf" / "remora.json"
    file.parent.mkdir()
    operator = Operator(file, edits, rng)
    operator.put(operator.text())
    options = ReloadOptions(strategy=rng.choice(["graceful", "rolling"]), health_check_timeout=5, drain_timeout=5)
    with serving(edits.servers):
        async with Manager.from_file(file, watch=True, reload_options=options) as manager:
            await until_ready(manager)
            async with at_work(manager, NAMES, books):
                with anyio.move_on_after(seconds):
                    await keep_editing(manager, operator, books, rng)
                operator.put(operator.text())
                await until_in_force(manager, file)
    await anyio.sleep(0.3)  # asyncio closes its transports in a later step of the loop
    return report(books, operator, folder / "log", before, usage(), seed=seed)


async def keep_editing(manager: Manager, operator: Operator, books: Books, rng: random.Random) -> None:
    """
    Make one edit after the other; now and then also reload in code, several times at once.
    """

    async def reload() -> None:
        try:
            await manager.reload(json.loads(operator.text()))
        except RemoraError as error:
            books.wrong.append(str(error))

    async with anyio.create_task_group() as tasks:
        while True:
            with anyio.CancelScope(shield=True):  # the last edit must be complete
                await operator.act()
            for _ in range(rng.randrange(1, 4) if rng.random() < 0.1 else 0):
                tasks.start_soon(reload)
            await anyio.sleep(rng.choice(PAUSES))


async def until_in_force(manager: Manager, file: Path) -> None:
    """
    Wait until the manager's plugins are those of the file.
    """
    wanted = json.loads(file.read_text())["plugins"]  # noqa: ASYNC240
    with anyio.fail_after(60):
        while shown(manager) != {name: places(table) for name, table in wanted.items()}:  # noqa: ASYNC110
            await anyio.sleep(0.1)


def shown(manager: Manager) -> dict[str, list[str]]:
    """
    The endpoints of a manager's plugins.
    """
    tables = manager.config.plugins.values()
    return {each.name: [endpoint.url for endpoint in each.endpoints] or [each.endpoint] for each in tables}


def places(table: dict[str, Any]) -> list[str]:
    """
    The endpoints in a plugin's table.
    """
    endpoints = table.get("endpoints") or [table["endpoint"]]
    return [each if isinstance(each, str) else each["url"] for each in endpoints]


def report(
    books: Books, operator: Operator, log: Path, before: dict[str, int], after: dict[str, int], *, seed: int
) -> dict[str, Any]:
    """
    The figures, and under `broken` the rules that were not kept.
    """
    musts = musts_of(books, log, before, after)
    return {
        "seed": seed,
        "asked": books.asked,
        "answered": books.answered,
        "errors": dict(books.failed),
        "edits": dict(operator.acts),
        "raised": books.wrong,
        **musts,
        "broken": [name for name, count in musts.items() if count],
    }


def main() -> None:
    """
    Run with the options of the command line, and print the report.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.edits", description="edit under load, and count")
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--backend", choices=["asyncio", "trio"], default="asyncio")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    options = parser.parse_args()
    run_through("edits", partial(run, options.seconds, options.backend, seed=options.seed), backend=options.backend)


if __name__ == "__main__":
    main()
