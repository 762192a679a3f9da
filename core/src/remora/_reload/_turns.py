"""
Turns for changes: one at a time, and of whole configurations that wait only the newest.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Turns:
    """
    Gives out turns for changing the plugins of a manager.
    """

    def __init__(self) -> None:
        self._lock = anyio.Lock()
        self._numbers = count(1)
        self._newest = 0

    def number(self) -> int:
        """
        A number for a change that is asked for now and that, once `announce` is told of it, replaces all earlier ones.
        """
        return next(self._numbers)

    def announce(self, number: int) -> None:
        """
        The change with this number can be made.
        """
        self._newest = max(self._newest, number)

    @asynccontextmanager
    async def take(self, number: int | None = None) -> AsyncIterator[bool]:
        """
        Wait for the turn.

        Args:
            number: The result of `number`; None for a change that adds to what is there.

        Returns:
            Whether the change is still useful, because no newer one replaces it.
        """
        async with self._lock:
            yield number is None or number == self._newest
