"""
Two contenders whose slices are made up. They run in processes of their own, which import this.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import anyio.lowlevel
import sniffio

from benchmarks.rounds import Slice

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.rounds import Contender

JOURNAL = "REMORA_TEST_JOURNAL"
"""The environment variable with the file into which each slice writes where it ran: name, process, loop, its number."""

_loops: list[object] = []


def ours(address: str, payload: bytes, callers: int) -> Contender:
    """
    One whose calls take 2, 6, 1 and 4 microseconds of CPU, round by round.
    """
    return _scripted("ours", (2, 6, 1, 4), callers)


def peer(address: str, payload: bytes, callers: int) -> Contender:
    """
    One whose calls take twice or four times as long as ours, but not steadily in the second and the fourth round.
    """
    return _scripted("peer", (4, 4, 4, 8, 2, 2, 5, 3), callers)


def _scripted(name: str, costs: Sequence[int], callers: int) -> Contender:
    async def contender(seconds: float) -> Slice:
        token = anyio.lowlevel.current_token()
        cost = costs[len(_loops)]
        _loops.append(token)
        place = f"{name} {os.getpid()} {sniffio.current_async_library()} {_loops.index(token)} {callers} {seconds}\n"
        with Path(os.environ[JOURNAL]).open("a") as file:
            file.write(place)
        return Slice(10, cost * 1e-5, cost * 2e-5)

    return contender
