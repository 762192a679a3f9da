"""
One change at a time, and of the complete ones that wait only the newest.
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
    Who may change the plugins of a manager now.
    """

    def __init__(self) -> None:
        self._lock = anyio.Lock()
        self._numbers = count(1)
        self._newest = 0

    def number(self) -> int:
        """
        The number of a change that leaves nothing of earlier ones.
        """
        self._newest = next(self._numbers)
        return self._newest

    @asynccontextmanager
    async def take(self, number: int | None = None) -> AsyncIterator[bool]:
        """
        Wait for the turn.

        Args:
            number: What `number` gave; None for a change that adds to what is there.

        Returns:
            Whether there is still sense in the change: no newer one leaves nothing of it.
        """
        async with self._lock:
            yield number is None or number == self._newest
