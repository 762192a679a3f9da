"""
What a scripted plugin does with its calls, in order.

What lives here: choosing the step. What must not: waiting, answering.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remora.testing._steps import Step


class Script:
    """
    Steps by the number of the call, by its method, or for all; the most special one is taken.
    """

    def __init__(self) -> None:
        self._by_number: dict[int, Step] = {}
        self._by_method: dict[str, deque[Step]] = {}
        self._always: dict[str, Step] = {}

    def add(self, method: str, steps: tuple[Step, ...]) -> None:
        """
        One step for each of the next calls of a method; an empty name stands for all methods.
        """
        self._by_method.setdefault(method, deque()).extend(steps)

    def repeat(self, method: str, step: Step) -> None:
        """
        A step for every call that no other step is for.
        """
        self._always[method] = step

    def at(self, number: int, step: Step) -> None:
        """
        A step for one call, counted from 1.
        """
        self._by_number[number] = step

    def next(self, number: int, method: str) -> Step | None:
        """
        The step for a call; None when nothing is said about it.
        """
        if number in self._by_number:
            return self._by_number[number]
        for name in (method, ""):
            if self._by_method.get(name):
                return self._by_method[name].popleft()
        return self._always.get(method) or self._always.get("")
