"""
The deadlines of many calls behind one timer, because a cancel scope for each call would cost more than the call.
"""

from __future__ import annotations

import math
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

_DEAD_ENTRIES = 256


class Deadlines:
    """
    Numbers of calls, each with the time at which it is to end.

    A call that ends earlier only leaves the table of the living; its entry in the heap is dropped when its time comes,
    or when the dead are in the majority.
    """

    def __init__(self) -> None:
        self._living: dict[int, float] = {}
        self._heap: list[tuple[float, int]] = []
        self._next = math.inf
        self._earlier = anyio.Event()

    def __len__(self) -> int:
        return len(self._living)

    def add(self, number: int, deadline: float) -> None:
        """
        Watch a call.
        """
        self._living[number] = deadline
        heappush(self._heap, (deadline, number))
        if deadline < self._next:
            self._earlier.set()

    def discard(self, number: int) -> None:
        """
        Watch a call no longer.
        """
        if self._living.pop(number, None) is not None and len(self._heap) > 2 * len(self._living) + _DEAD_ENTRIES:
            self._heap = [(deadline, number) for number, deadline in self._living.items()]
            heapify(self._heap)

    def take_expired(self, now: float) -> list[int]:
        """
        The calls whose time has come. They are watched no longer.
        """
        expired: list[int] = []
        while self._heap and self._heap[0][0] <= now:
            deadline, number = heappop(self._heap)
            if self._living.get(number) == deadline:  # else the number has ended, and another call has it now
                del self._living[number]
                expired.append(number)
        return expired

    async def watch(self, expire: Callable[[int], object]) -> None:
        """
        Call `expire` with each number when its time has come, for ever.
        """
        while True:
            for number in self.take_expired(anyio.current_time()):
                expire(number)
            self._earlier = anyio.Event()
            self._next = self._heap[0][0] if self._heap else math.inf
            with anyio.CancelScope(deadline=self._next):
                await self._earlier.wait()
