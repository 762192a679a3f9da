"""
The fast path on asyncio: a reader that stays registered, and callbacks in place of a task that is woken.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio
import anyio._backends._asyncio as backend

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remora.io._pipe import Hold


class AsyncioStanding:
    """
    In which cancel scope a task was at a moment. Only anyio's own table tells.
    """

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._state = backend._task_states[task]
        self._scope = self._state.cancel_scope

    def holds(self) -> bool:
        """
        Whether it is still in that one, and nobody has asked the task itself to end.
        """
        return self._state.cancel_scope is self._scope and not self._task.cancelling()

    def restore(self) -> None:
        """
        Leave the scopes that have been entered since.
        """
        while (inner := self._state.cancel_scope) is not self._scope and inner is not None:
            inner.__exit__(None, None, None)


class Pump:
    """
    Hands over what arrives at a descriptor, right from the event loop's callback.

    Args:
        descriptor: What to wait for.
        read: The next bytes; None for none yet, empty at the end; raises what goes wrong.
        take: Takes them.
        hold: Asked after each time; what it returns is called and waited for before more is read.
    """

    def __init__(
        self,
        descriptor: int,
        read: Callable[[], bytes | memoryview | None],
        take: Callable[[bytes | memoryview], object],
        hold: Hold | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._descriptor = descriptor
        self._read = read
        self._take = take
        self._hold = hold
        self._room: Callable[[], Awaitable[None]] | None = None
        self._pause = self._loop.create_future()
        self._error: Exception | None = None

    async def run(self) -> None:
        """
        Work until `stop`, or until something goes wrong.

        Raises:
            anyio.EndOfStream: The peer has closed its side.
            Exception: What `read` or `take` has raised, or what `stop` was told.
        """
        try:
            while self._descriptor >= 0:
                self._loop.add_reader(self._descriptor, self._arrived)
                await self._pause
                await self._until_there_is_room()
        finally:
            self.stop(None)
        if self._error is not None:
            raise self._error

    def stop(self, error: Exception | None) -> None:
        """
        End it with an error. Before the descriptor is closed, or another would be waited for in its stead.
        """
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            self._descriptor = -1
            self._error = error  # in a future it would be reported when nobody waits any more
        if not self._pause.done():
            self._pause.set_result(None)

    async def _until_there_is_room(self) -> None:
        if self._room is not None:
            self._pause = self._loop.create_future()
            room, self._room = self._room, None
            await room()

    def _arrived(self) -> None:
        try:
            data = self._read()
            if data is None:
                return
            if not data:
                raise anyio.EndOfStream
            self._take(data)
            if self._hold is not None and (room := self._hold()) is not None:
                self._rest(room)
        except Exception as error:
            self.stop(error)

    def _rest(self, room: Callable[[], Awaitable[None]]) -> None:
        self._loop.remove_reader(self._descriptor)
        self._room = room
        self._pause.set_result(None)
