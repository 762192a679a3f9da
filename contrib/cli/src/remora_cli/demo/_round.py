"""
Many calls of one plugin at once: every answer is checked, every call is timed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import cycle, islice
from typing import TYPE_CHECKING

import anyio

from remora.errors import RemoraError
from remora_cli.demo.text import Count, Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from remora_cli.demo.text import TextProcessor

CONCURRENCY = 16

_SAMPLES: tuple[tuple[str, Text, Text | Count], ...] = (
    ("upper", Text("a host and its remora"), Text("A HOST AND ITS REMORA")),
    ("lower", Text("STRASSE Ünter WASSER"), Text("strasse ünter wasser")),
    ("reverse", Text("remora 🐟"), Text("🐟 aromer")),
    ("count", Text("one fish, two fish"), Count(words=4, characters=18)),
)


@dataclass(frozen=True, slots=True)
class Round:
    """
    What came of the calls of one plugin.

    Attributes:
        durations: Seconds of each call that was answered rightly, from the quickest to the slowest.
        failures: What went wrong in the others.
    """

    durations: Sequence[float]
    failures: Sequence[str]

    @property
    def calls(self) -> int:
        """
        The number of calls.
        """
        return len(self.durations) + len(self.failures)

    def milliseconds(self, percent: int) -> float | None:
        """
        What that many in a hundred calls took at most.
        """
        if not self.durations:
            return None
        return 1000 * self.durations[min(len(self.durations) * percent // 100, len(self.durations) - 1)]


async def run_round(client: TextProcessor, calls: int) -> Round:
    """
    Make the calls, up to `CONCURRENCY` at a time, after one that is not counted and opens the connection.
    """
    durations: list[float] = []
    failures: list[str] = []
    samples = islice(cycle(_SAMPLES), calls)

    async def work() -> None:
        await _work(client, samples, durations, failures)

    try:
        await client.process()
    except RemoraError as error:
        return Round((), [str(error)] * calls)
    async with anyio.create_task_group() as group:
        for _ in range(CONCURRENCY):
            group.start_soon(work)
    return Round(sorted(durations), failures)


async def _work(
    client: TextProcessor,
    samples: Iterator[tuple[str, Text, Text | Count]],
    durations: list[float],
    failures: list[str],
) -> None:
    for method, request, expected in samples:
        started = time.perf_counter()
        try:
            answer = await getattr(client, method)(request)
        except RemoraError as error:
            failures.append(f"{method}: {error}")
            continue
        if answer == expected:
            durations.append(time.perf_counter() - started)
        else:
            failures.append(f"{method}({request}) gave {answer}")
