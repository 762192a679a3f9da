"""
The fast path on trio: it waits for sockets and other tasks directly, without anyio's objects in between.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import anyio
import trio
from trio.lowlevel import Abort, checkpoint, current_task, reschedule, wait_readable, wait_task_rescheduled

from remora.io._landing import ROOM

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Generator

    from remora.io._pipe import Hold, Take


async def pump(
    connected: socket.socket,
    read: Callable[[int], bytes | memoryview | None],
    take: Take,
    hold: Hold | None = None,
) -> None:
    """
    Pass on what arrives at a socket, until the connection ends.

    Args:
        connected: The socket.
        read: Returns the next bytes, at most as many as it is told: None when there are none yet, empty at the end; or
            raises an error.
        take: Called with them.
        hold: Called after each time; what it returns is called and awaited before more is read.

    Raises:
        anyio.EndOfStream: The peer has closed its side.
        anyio.ClosedResourceError: The socket has been closed on this side.
    """
    most = ROOM
    while True:
        data = read(most)
        if data is None:
            await _readable(connected)
            continue
        if not data:
            raise anyio.EndOfStream
        is_full, most = len(data) == most, take(data) or ROOM
        if hold is not None and (room := hold()) is not None:
            await room()
        if is_full:
            await checkpoint()
        else:
            await _readable(connected)


async def _readable(connected: socket.socket) -> None:
    if connected.fileno() < 0:
        raise anyio.ClosedResourceError
    try:
        await wait_readable(connected)
    except trio.ClosedResourceError:
        raise anyio.ClosedResourceError from None


async def next_bytes(
    connected: socket.socket, read: Callable[[], bytes | memoryview | None]
) -> bytes | memoryview | None:
    """
    The next bytes from a socket; None after `trio.lowlevel.notify_closing`, even if it stays open.

    Args:
        connected: The socket.
        read: As for `pump`.

    Raises:
        anyio.EndOfStream: The peer has closed its side.
    """
    if connected.fileno() >= 0:
        try:
            await wait_readable(connected)
        except trio.ClosedResourceError:
            return None
    if (data := read()) is not None and not data:
        raise anyio.EndOfStream
    return data


def from_any_thread() -> Callable[[Callable[[], object]], None]:
    """
    See `remora.io._loop`.
    """
    schedule = trio.lowlevel.current_trio_token().run_sync_soon

    def soon(function: Callable[[], object]) -> None:
        with suppress(trio.RunFinishedError):
            schedule(function)

    return soon


class TrioStanding:
    """
    The cancel scope in which a task was at some moment, from trio's internal record of the task.
    """

    def __init__(self) -> None:
        self._task = trio.lowlevel.current_task()
        self._status = self._task._cancel_status

    def holds(self) -> bool:
        """
        Whether the task is still in that scope.
        """
        return self._task._cancel_status is self._status

    def restore(self) -> None:
        """
        Does nothing: trio itself leaves the scopes that the task has entered since, and reports them.
        """


class Parked:
    """
    A result that one task waits for; the part of `asyncio.Future` that is needed here.

    It is also what trio resumes the task with, in the place of an `outcome.Value` made for it.
    """

    __slots__ = ("_is_done", "_result", "_task")

    def __init__(self) -> None:
        self._is_done = False
        self._result: Any = None
        self._task: trio.lowlevel.Task | None = None

    def done(self) -> bool:
        """
        Whether there is a result.
        """
        return self._is_done

    def set_result(self, result: Any) -> None:
        """
        Set the result, and wake the task that waits for it.
        """
        self._is_done = True
        self._result = result
        if (task := self._task) is not None:
            self._task = None
            reschedule(task, self)  # type: ignore[arg-type]

    def unwrap(self) -> Any:
        """
        The result.
        """
        return self._result

    def __await__(self) -> Generator[Any, Any, Any]:
        if self._is_done:
            return self._result
        self._task = current_task()
        return (yield from wait_task_rescheduled(self._give_up).__await__())  # noqa: ASYNC105

    def _give_up(self, _: object) -> Abort:
        self._task = None
        return Abort.SUCCEEDED
