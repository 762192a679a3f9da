"""
The fast path on trio: its own waiting for sockets and for each other, without anyio's objects in between.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import trio
from trio.lowlevel import Abort, checkpoint, current_task, reschedule, wait_readable, wait_task_rescheduled

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Generator

    from remora.io._pipe import Hold


async def pump(
    connected: socket.socket,
    read: Callable[[], bytes | memoryview | None],
    take: Callable[[bytes | memoryview], object],
    hold: Hold | None = None,
    *,
    chunk: int,
) -> None:
    """
    Hand over what arrives at a socket, until something goes wrong.

    Args:
        connected: The socket.
        read: The next bytes; None for none yet, empty at the end; raises what goes wrong.
        take: Takes them.
        hold: Asked after each time; what it returns is called and waited for before more is read.
        chunk: How many bytes are read at once; as many mean that more may be there.

    Raises:
        anyio.EndOfStream: The peer has closed its side.
        anyio.ClosedResourceError: This side has.
    """
    while True:
        data = read()
        if data is None:
            await _readable(connected)
            continue
        if not data:
            raise anyio.EndOfStream
        take(data)
        if hold is not None and (room := hold()) is not None:
            await room()
        if len(data) == chunk:
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


async def readable_or_roused(connected: socket.socket) -> None:
    """
    Wait for something to read, or for `trio.lowlevel.notify_closing`, which need not mean that the socket is closed.
    """
    if connected.fileno() >= 0:
        try:
            await wait_readable(connected)
        except trio.ClosedResourceError:
            return


class TrioStanding:
    """
    In which cancel scope a task was at a moment. Only trio's own record of the task tells.
    """

    def __init__(self) -> None:
        self._task = trio.lowlevel.current_task()
        self._status = self._task._cancel_status

    def holds(self) -> bool:
        """
        Whether it is still in that one.
        """
        return self._task._cancel_status is self._status

    def restore(self) -> None:
        """
        Leave the scopes that have been entered since: trio does so by itself, and complains.
        """


class Parked:
    """
    What one task waits for; as much of `asyncio.Future` as is needed here.
    """

    __slots__ = ("_is_done", "_result", "_task")

    def __init__(self) -> None:
        self._is_done = False
        self._result: Any = None
        self._task: trio.lowlevel.Task | None = None

    def done(self) -> bool:
        """
        Whether it has happened.
        """
        return self._is_done

    def set_result(self, result: Any) -> None:
        """
        It has happened.
        """
        self._is_done = True
        self._result = result
        if (task := self._task) is not None:
            self._task = None
            reschedule(task)

    def __await__(self) -> Generator[Any, Any, Any]:
        if not self._is_done:
            self._task = current_task()
            yield from wait_task_rescheduled(self._give_up).__await__()  # noqa: ASYNC105
        return self._result

    def _give_up(self, _: object) -> Abort:
        self._task = None
        return Abort.SUCCEEDED
