"""
The deadlines of many calls behind one timer, because a cancel scope for each call would cost more than the call.
"""

from __future__ import annotations

import math
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Protocol

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

_DEAD_ENTRIES = 256


class Expiring(Protocol):
    """
    Calls with deadlines.
    """

    def take_expired(self, now: float, /) -> list[int]:
        """
        The numbers of those whose deadlines have passed, each only once.
        """
        ...

    def earliest(self) -> float:
        """
        When to ask for them next: not later than the first deadline.
        """
        ...


class Timer:
    """
    Rings at the deadlines of calls.

    Args:
        calls: The calls.

    Attributes:
        due: When it looks at them next; `hurry` has to be called if one has to end before.
    """

    def __init__(self, calls: Expiring) -> None:
        self._calls = calls
        self._earlier = anyio.Event()
        self.due = math.inf

    def hurry(self) -> None:
        """
        Look at the calls soon.
        """
        self._earlier.set()

    async def watch(self, expire: Callable[[int], object]) -> None:
        """
        Call `expire` with the number of each call at its deadline, forever.
        """
        while True:
            for number in self._calls.take_expired(anyio.current_time()):
                expire(number)
            self._earlier = anyio.Event()
            self.due = self._calls.earliest()
            with anyio.CancelScope(deadline=self.due):
                await self._earlier.wait()


class Deadlines:
    """
    The numbers of calls, each with its deadline.

    Most calls have ended before the timer fires next; those cost only an entry in a table. Those still under way then
    go to a heap, where a call that ends leaves a dead entry, which is dropped when its time comes, or when dead
    entries are in the majority.
    """

    def __init__(self) -> None:
        self._new: dict[int, float] = {}
        self._old: dict[int, float] = {}
        """Those in the heap that are still watched."""
        self._heap: list[tuple[float, int]] = []
        self._timer = Timer(self)

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def add(self, number: int, deadline: float) -> None:
        """
        Watch a call.
        """
        self._new[number] = deadline
        if deadline < self._timer.due:
            self._timer.hurry()

    def discard(self, number: int) -> None:
        """
        Stop watching a call.
        """
        if self._new.pop(number, None) is None and self._old.pop(number, None) is not None:
            self._compact()

    def take_expired(self, now: float) -> list[int]:
        """
        The calls whose deadlines have passed. They are not watched any more.
        """
        self._move_to_heap()
        expired: list[int] = []
        while self._heap and self._heap[0][0] <= now:
            deadline, number = heappop(self._heap)
            if self._old.get(number) == deadline:  # else the entry is dead, though the number may be in use again
                del self._old[number]
                expired.append(number)
        return expired

    def earliest(self) -> float:
        """
        When to ask for them next: not later than the first deadline.
        """
        self._move_to_heap()
        return self._heap[0][0] if self._heap else math.inf

    def _move_to_heap(self) -> None:
        for number, deadline in self._new.items():
            heappush(self._heap, (deadline, number))
        self._old |= self._new
        self._new.clear()

    def _compact(self) -> None:
        if len(self._heap) > 2 * len(self._old) + _DEAD_ENTRIES:
            self._heap = [(deadline, number) for number, deadline in self._old.items()]
            heapify(self._heap)

    async def watch(self, expire: Callable[[int], object]) -> None:
        """
        Call `expire` with each number at its deadline, forever. It may add numbers, even the same one again.
        """
        await self._timer.watch(expire)
