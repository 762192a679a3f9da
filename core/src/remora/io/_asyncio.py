"""
The fast path on asyncio: a reader that stays registered, and callbacks instead of a task that is woken.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio
import anyio._backends._asyncio as backend

from remora.io._landing import ROOM

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remora.io._pipe import Hold, Take


class AsyncioStanding:
    """
    The cancel scope in which a task was at some moment, from anyio's internal table.
    """

    def __init__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._state = backend._task_states[task]
        self._scope = self._state.cancel_scope

    def holds(self) -> bool:
        """
        Whether the task is still in that scope, and has not been cancelled itself.
        """
        return self._state.cancel_scope is self._scope and not self._task.cancelling()

    def restore(self) -> None:
        """
        Leave the scopes that the task has entered since.
        """
        while (inner := self._state.cancel_scope) is not self._scope and inner is not None:
            inner.__exit__(None, None, None)


class Pump:
    """
    Hands over what arrives at a descriptor, directly from the event loop's callback.

    Args:
        descriptor: The descriptor to wait for.
        read: Returns the next bytes, at most as many as it is told: None when there are none yet, empty at the end; or
            raises an error.
        take: Called with them.
        hold: Called after each time; what it returns is called and awaited before more is read.
    """

    def __init__(
        self,
        descriptor: int,
        read: Callable[[int], bytes | memoryview | None],
        take: Take,
        hold: Hold | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._descriptor = descriptor
        self._read = read
        self._take = take
        self._hold = hold
        self._most = ROOM
        self._room: Callable[[], Awaitable[None]] | None = None
        self._pause = self._loop.create_future()
        self._error: Exception | None = None

    async def run(self) -> None:
        """
        Work until `stop`, or until something goes wrong.

        Raises:
            anyio.EndOfStream: The peer has closed its side.
            Exception: The error that `read` or `take` has raised, or that `stop` was given.
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
        End `run` with an error. To be called before the descriptor is closed, since its number may be reused at once.
        """
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            self._descriptor = -1
            self._error = error  # a future would report it as never retrieved when nobody waits any more
        if not self._pause.done():
            self._pause.set_result(None)

    async def _until_there_is_room(self) -> None:
        if self._room is not None:
            self._pause = self._loop.create_future()
            room, self._room = self._room, None
            await room()

    def _arrived(self) -> None:
        try:
            data = self._read(self._most)
            if data is None:
                return
            if not data:
                raise anyio.EndOfStream
            self._most = self._take(data) or ROOM
            if self._hold is not None and (room := self._hold()) is not None:
                self._rest(room)
        except Exception as error:
            self.stop(error)

    def _rest(self, room: Callable[[], Awaitable[None]]) -> None:
        self._loop.remove_reader(self._descriptor)
        self._room = room
        self._pause.set_result(None)
