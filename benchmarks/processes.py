"""
The processes of contenders: each contender has one of its own, as it would have in a program that uses nothing else.

What one does to its process would else help or harm the others. All keep the memory of large buffers (see `memory`),
which helps the peers: with Remora every process does, and without it this would be chance.

What lives here: where a contender runs. What must not: the order of slices, and what they cost (see `rounds`).
"""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import TYPE_CHECKING

from benchmarks import memory
from benchmarks.rounds import Slice, run_slice

if TYPE_CHECKING:
    from contextlib import ExitStack

    from benchmarks.pairs import Make
    from benchmarks.placement import Placement


@dataclass(frozen=True, slots=True)
class Entry:
    """
    A contender that is to run in its own process.

    Attributes:
        make: Makes it there; its process is that of this function.
        address: The address that it calls.
        payload: What it sends.
        callers: How many calls it makes at once.
        backend: Its event loop.
    """

    make: Make
    address: str
    payload: bytes
    callers: int
    backend: str


class Processes:
    """
    The processes of all contenders; each is started when it is first needed, and ends with `stack`.
    """

    def __init__(self, stack: ExitStack, placement: Placement) -> None:
        self._stack = stack
        self._placement = placement
        self._known: dict[Make, ProcessPoolExecutor] = {}

    def run(self, entry: Entry, seconds: float, *, roams: bool) -> Slice:
        """
        A slice of a contender.
        """
        return self._of(entry.make).submit(_run, entry, seconds, self._placement, roams).result()

    def _of(self, make: Make) -> ProcessPoolExecutor:
        if make not in self._known:
            process = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
            self._known[make] = self._stack.enter_context(process)
        return self._known[make]


def _run(entry: Entry, seconds: float, placement: Placement, roams: bool) -> Slice:
    placement.take(roams=roams)
    memory.keep()
    return run_slice(entry.make(entry.address, entry.payload, entry.callers), seconds, entry.backend)
