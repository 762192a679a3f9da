"""
A lone caller on a connection reads its reply itself, since on trio a reader task costs one more turn of the loop.

What lives here: waiting. What must not: the rules for who reads (see `_turn`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from remora.io._loop import runs_on_trio, waiters
from remora.io._pipe import SocketPipe
from remora.io._turn import Reader, Turn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remora.io._loop import Waiter
    from remora.io._pipe import BytePipe, Take

_WHILE = 0.05


class LoneReading:
    """
    Shares the reading of a connection between its reader task and lone callers.

    Args:
        pipe: The connection.
        take: Called with what arrives.
        is_alone: Whether the last read brought one reply, no call is under way, and the connection has not ended.
    """

    def __init__(self, pipe: SocketPipe, take: Take, is_alone: Callable[[], bool]) -> None:
        self._pipe = pipe
        self._next_bytes = pipe.lone_reader()
        self._take = take
        self._is_alone = is_alone
        self._turn = Turn()
        self._waiter = waiters()
        self._recalled: Waiter | None = None
        self._failure: Exception | None = None
        self.claim = self._turn.claim

    def hold(self) -> Callable[[], Awaitable[None]] | None:
        """
        For the reader task: what to await before reading more; None when it is its turn.
        """
        return self._rest if self._turn.rest(is_alone=self._is_alone()) else None

    async def read_until(self, answered: Waiter) -> None:
        """
        For a caller whose `claim` succeeded: read until it is answered, or nothing more can be read.
        """
        is_done = False
        try:
            while not answered.done():
                if data := await self._next_bytes():
                    self._take(data)
            is_done = True
        except Exception as error:  # the connection has ended: the reader task tells all callers
            self._failure = error
        finally:
            if self._turn.release(is_alone=is_done and self._is_alone()):
                self._recall()

    def interrupt(self) -> None:
        """
        Wake whoever reads, to check its condition again.
        """
        self._turn.recall()
        if self._turn.reader is Reader.CALLER:
            self._pipe.rouse()
        else:
            self._recall()

    async def _rest(self) -> None:
        while self._turn.reader is not Reader.TASK:
            self._recalled = self._waiter()
            with anyio.move_on_after(_WHILE):
                await self._recalled
            self._turn.pass_time()
        if self._failure is not None:
            raise self._failure

    def _recall(self) -> None:
        if self._recalled is not None and not self._recalled.done():
            self._recalled.set_result(None)


def lone_reading(pipe: BytePipe, take: Take, is_alone: Callable[[], bool]) -> LoneReading | None:
    """
    The shared reading of a pipe; None when it would save nothing.
    """
    return LoneReading(pipe, take, is_alone) if isinstance(pipe, SocketPipe) and runs_on_trio() else None
