"""
Peers side by side: slices of each, interleaved in one process, and the ratio of every round.

What lives here: the order of slices, what they cost, and the figures. What must not: what is measured.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import platform
import signal
import statistics
import time
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from types import FrameType

    Contender = Callable[[float], Awaitable["Slice"]]

STEADY = 1.25
"""A round counts when its two peer slices differ by less than this factor: otherwise the machine moved under it."""

WATCHDOG = 12
"""Seconds that a slice may take beyond its length."""

_BATCH = 50


@dataclass(frozen=True, slots=True)
class Slice:
    """
    A stretch of calls of one contender.

    Attributes:
        calls: How many.
        cpu: Seconds of all threads of the process.
        wall: Seconds by the clock.
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
        Microseconds by the clock per call.
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
        Whether the machine kept still, as far as the peer can tell.
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
        The CPU of a call of ours, as a part of one of the peer's.
        """
        return self.ours.cost / self.peer_cost

    @property
    def wall_ratio(self) -> float:
        """
        The same by the clock.
        """
        return self.ours.pace / ((self.before.pace + self.after.pace) / 2)


async def measure(
    call: Callable[[], Awaitable[object]], seconds: float, *, callers: int = 1, batch: int = _BATCH
) -> Slice:
    """
    Make calls for a while, one after the other in each of `callers` tasks.
    """
    for _ in range(batch):  # warm up
        await call()
    calls = 0
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    ends = wall + seconds

    async def keep_calling() -> None:
        nonlocal calls
        while time.perf_counter() < ends:
            for _ in range(batch):
                await call()
            calls += batch

    if callers == 1:
        await keep_calling()
    else:
        async with anyio.create_task_group() as group:
            for _ in range(callers):
                group.start_soon(keep_calling)
    return Slice(max(1, calls), time.process_time() - cpu, time.perf_counter() - wall)  # the one under way, at least


def run_slice(contender: Contender, seconds: float, backend: str = "asyncio") -> Slice:
    """
    A slice on an event loop of its own: "asyncio", "uvloop" or "trio". One that hangs ends the program.
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
    Peer, ours, peer.
    """
    before = run_slice(peer, seconds, peer_backend)
    middle = run_slice(ours, seconds, backend)
    return Round(before, middle, run_slice(peer, seconds, peer_backend))


def _give_up(number: int, frame: FrameType | None) -> None:
    faulthandler.dump_traceback()
    raise SystemExit("a slice hangs: a wake-up was lost")


def steady_of(rounds: Sequence[Round]) -> list[Round]:
    """
    The rounds that count; prints how many do not.
    """
    steady = [each for each in rounds if each.is_steady]
    print(f"rounds: {len(rounds)}, of which {len(rounds) - len(steady)} dropped: the machine moved")
    if not steady:
        print("nothing to report; try again when the machine is quieter")
    return steady


def spread(numbers: Sequence[float], digits: int) -> str:
    """
    The median of some numbers, with the smallest and the largest.
    """
    return f"{statistics.median(numbers):.{digits}f} ({min(numbers):.{digits}f} to {max(numbers):.{digits}f})"


def verdict(found: float, target: float) -> str:
    """
    Whether a figure is as low as it should be, in a word.
    """
    return "met" if found <= target else "MISSED"


def environment(*names: str) -> str:
    """
    What the figures depend on: Python, the machine, and the versions of some distributions.
    """
    versions = ", ".join(f"{name} {_version(name)}" for name in names)
    python = f"{platform.python_implementation()} {platform.python_version()}, {platform.python_compiler()}"
    return f"{python}, {os.cpu_count()} CPUs, {platform.machine()}\n{versions}"


def load() -> str:
    """
    The machine's load averages.
    """
    return ", ".join(f"{number:.2f}" for number in os.getloadavg())


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # the other event loop, say
        return "absent"
