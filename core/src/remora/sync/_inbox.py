"""
Messages from other threads to a task of an event loop, which is woken once for all that gather until it looks.

A message is a function without arguments. Whoever posts appends it first and looks at the flag afterwards; the reader
clears the flag first and takes messages afterwards. So a message that was not announced is always still seen.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from remora.io._loop import from_any_thread, waiters

if TYPE_CHECKING:
    from collections.abc import Callable


class Inbox:
    """
    The messages for the running event loop.
    """

    def __init__(self) -> None:
        self._wake = from_any_thread()
        self._waiter = waiters()
        self._arrival = self._waiter()
        self._messages: deque[Callable[[], object]] = deque()
        self._is_announced = False
        self._is_closed = False

    def post(self, message: Callable[[], object], *, urgent: bool = False) -> bool:
        """
        Have the loop call a function soon; any thread may do so.

        Args:
            message: The function.
            urgent: Wake the loop in any case: an interrupt may have come between an announcement and its wake-up.

        Returns:
            Whether it will be called. If not, it may have been called when the inbox was closed, or never.
        """
        self._messages.append(message)
        if urgent or not self._is_announced:
            self._is_announced = True
            self._wake(self._ring)
        return not self._is_closed

    async def run(self) -> None:
        """
        Call what is posted, until it is cancelled. Messages raise nothing.
        """
        while True:
            self._arrival = self._waiter()
            self._is_announced = False
            self._deliver()
            await self._arrival

    def close(self) -> None:
        """
        Call what nobody has called yet, and take nothing more.
        """
        self._is_closed = True
        self._deliver()

    def _ring(self) -> None:
        if not self._arrival.done():
            self._arrival.set_result(None)

    def _deliver(self) -> None:
        while self._messages:
            self._messages.popleft()()
