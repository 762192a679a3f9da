"""
Every contender really calls: what it counts are answers, and they are the right ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from benchmarks import codec, null, run
from benchmarks.pairs import PAIRS
from benchmarks.rounds import measure
from remora.types import Reply
from tests.architecture.sources import ROOT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from benchmarks.processes import Entry
    from benchmarks.rounds import Contender, Slice

MODULES = ["codec", "ours", "overhead", "peers_grpc", "peers_http", "peers_streams"]
WITHOUT_A_SERVER = {"benchmarks.pairs": null.PAYLOAD, "benchmarks.codec": codec._ORDER}
"""What is answered where nothing is sent, by the module of the contender."""


@dataclass(frozen=True)
class Run:
    """
    What a contender has counted, and the answers that it has really got, with those while it warmed up.
    """

    entry: Entry
    slice: Slice
    answers: list[object]
    warm_up: int


class Onlooker:
    """
    In the place of the processes: runs each contender once at each address, in this process, and hears the answers.
    """

    def __init__(self) -> None:
        self.runs: dict[tuple[object, str], Run] = {}
        self._answers: list[object] = []
        self._warm_up = 0

    def run(self, entry: Entry, seconds: float, *, roams: bool) -> Slice:
        place = (entry.make, entry.address)
        if place not in self.runs:
            self._answers = []
            contender = entry.make(entry.address, entry.payload, entry.callers)
            found = anyio.run(_in_time, contender, seconds, backend=entry.backend)
            self.runs[place] = Run(entry, found, self._answers, self._warm_up)
        return self.runs[place].slice

    async def measure(
        self, call: Callable[[], Awaitable[Any]], seconds: float, *, callers: int = 1, batch: int = 50
    ) -> Slice:
        async def heard() -> None:
            answer = await call()
            self._answers.append(bytes(answer.payload) if isinstance(answer, Reply) else answer)

        self._warm_up = batch
        return await measure(heard, seconds, callers=callers, batch=batch)


async def _in_time(contender: Contender, seconds: float) -> Slice:
    with anyio.fail_after(20):
        return await contender(seconds)


@pytest.mark.long
def test_each_contender_counts_the_right_answers(
    anyio_backend: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """
    No more than there were, and no fewer; whichever way they came.
    """
    onlooker = Onlooker()
    monkeypatch.setattr(run, "Processes", lambda *_: onlooker)
    for name in MODULES:
        monkeypatch.setattr(import_module(f"benchmarks.{name}"), "measure", onlooker.measure)
    monkeypatch.chdir(ROOT)
    sizes = ["--callers", "1", "32", "--size", "100", "--rounds", "1", "--seconds", "0.01"]
    run.main(["--backend", anyio_backend, *sizes, "--cpus", "anywhere", "--output", str(tmp_path)])

    pairs = [pair for pair in PAIRS if anyio_backend in pair.backends]
    assert {make for pair in pairs for make in (pair.ours, pair.peer)} == {make for make, _ in onlooker.runs}
    for each in onlooker.runs.values():
        if each.entry.make.__module__ != "benchmarks.served":
            expected = WITHOUT_A_SERVER.get(each.entry.make.__module__, each.entry.payload)
            assert [expected] * (each.slice.calls + each.warm_up) == each.answers, each.entry
