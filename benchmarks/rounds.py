"""
Peers side by side: slices of each, interleaved, and the ratio in each round.

What lives here: the order of slices, their cost, and the figures. What must not: what is measured, and
on which machine (see `machine`).
"""

from __future__ import annotations

import faulthandler
import gc
import signal
import statistics
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import FrameType

    Contender = Callable[[float], Awaitable["Slice"]]

STEADY = 1.25
"""A round counts when its two peer slices differ by less than this factor; otherwise the machine was disturbed."""

WATCHDOG = 12
"""Seconds by which a slice may exceed its length."""

_BATCH = 50


@dataclass(frozen=True, slots=True)
class Slice:
    """
    The calls of one contender over a short time.

    Attributes:
        calls: The number of calls.
        cpu: Seconds of CPU, over all threads of the process.
        wall: Elapsed seconds.
    """

    calls: int
    cpu: float
    wall: float

    @property
    def cost(self) -> float:
        """
        Microseconds of CPU per call.
        """
        return self.cpu / self.calls * 1e6

    @property
    def pace(self) -> float:
        """
        Microseconds of elapsed time per call.
        """
        return self.wall / self.calls * 1e6


@dataclass(frozen=True, slots=True)
class Round:
    """
    A slice of the contender between two of its peer.
    """

    before: Slice
    ours: Slice
    after: Slice

    @property
    def is_steady(self) -> bool:
        """
        Whether the machine was undisturbed, as far as the peer shows.
        """
        costs = self.before.cost, self.after.cost
        return max(costs) < STEADY * min(costs)

    @property
    def peer_cost(self) -> float:
        """
        Microseconds of CPU per call of the peer.
        """
        return (self.before.cost + self.after.cost) / 2

    @property
    def ratio(self) -> float:
        """
        Remora's CPU per call, divided by the peer's.
        """
        return self.ours.cost / self.peer_cost

    @property
    def peer_pace(self) -> float:
        """
        Microseconds of elapsed time per call of the peer.
        """
        return (self.before.pace + self.after.pace) / 2

    @property
    def wall_ratio(self) -> float:
        """
        Remora's elapsed time per call, divided by the peer's.
        """
        return self.ours.pace / self.peer_pace


async def measure(
    call: Callable[[], Awaitable[object]], seconds: float, *, callers: int = 1, batch: int = _BATCH
) -> Slice:
    """
    Make calls for `seconds`, one after the other in each of `callers` tasks, at least a batch in each.
    """
    for _ in range(batch):  # warm up
        await call()
    calls = 0
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    ends = wall + seconds

    async def keep_calling() -> None:
        nonlocal calls
        while True:
            for _ in range(batch):
                await call()
            calls += batch
            if time.perf_counter() >= ends:
                return

    if callers == 1:
        await keep_calling()
    else:
        async with anyio.create_task_group() as group:
            for _ in range(callers):
                group.start_soon(keep_calling)
    return Slice(calls, time.process_time() - cpu, time.perf_counter() - wall)


def run_slice(contender: Contender, seconds: float, backend: str = "asyncio") -> Slice:
    """
    A slice on a new event loop: "asyncio", "uvloop" or "trio". One that hangs ends the program.
    """
    signal.signal(signal.SIGALRM, _give_up)
    signal.alarm(WATCHDOG + int(seconds))
    try:
        if backend == "uvloop":
            return anyio.run(contender, seconds, backend_options={"use_uvloop": True})
        return anyio.run(contender, seconds, backend=backend)
    finally:
        signal.alarm(0)


def run_round(
    ours: Contender, peer: Contender, seconds: float, *, backend: str = "asyncio", peer_backend: str = "asyncio"
) -> Round:
    """
    A round: a slice of the peer, one of ours, one of the peer.
    """
    before = run_slice(peer, seconds, peer_backend)
    middle = run_slice(ours, seconds, backend)
    return Round(before, middle, run_slice(peer, seconds, peer_backend))


def _give_up(number: int, frame: FrameType | None) -> None:
    faulthandler.dump_traceback()
    raise SystemExit("a slice hangs: a wake-up was lost")


def row(name: str, rounds: Sequence[Round]) -> str:
    """
    A row of a table: the name; the ratios of CPU and of elapsed time; microseconds of CPU per call, Remora's and the
    peer's; and how many rounds were dropped.
    """
    steady = [each for each in rounds if each.is_steady]
    figures = ["-"] * 4
    if steady:
        figures = [
            spread([each.ratio for each in steady], 2),
            spread([each.wall_ratio for each in steady], 2),
            f"{statistics.median(each.ours.cost for each in steady):.1f}",
            f"{statistics.median(each.peer_cost for each in steady):.1f}",
        ]
    return f"| {' | '.join([name, *figures, f'{len(rounds) - len(steady)} of {len(rounds)}'])} |"


def steady_of(rounds: Sequence[Round]) -> list[Round]:
    """
    The rounds that count. Prints how many do not.
    """
    steady = [each for each in rounds if each.is_steady]
    print(f"rounds: {len(rounds)}, of which {len(rounds) - len(steady)} dropped: the machine moved")
    if not steady:
        print("nothing to report; try again when the machine is quieter")
    return steady


def spread(numbers: Sequence[float], digits: int) -> str:
    """
    The median, minimum and maximum of some numbers, as text.
    """
    return f"{statistics.median(numbers):.{digits}f} ({min(numbers):.{digits}f} to {max(numbers):.{digits}f})"


def verdict(found: float, target: float) -> str:
    """
    Whether a figure is within its target, in a word.
    """
    return "met" if found <= target else "MISSED"
