"""
Lifecycle events for a thread that waits for them.
"""

from __future__ import annotations

import logging
from queue import Queue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractContextManager
    from typing import Self

    from anyio.abc import TaskStatus

    from remora.types import Event

_log = logging.getLogger(__name__)

_BUFFER = 1000


class Events:
    """
    An iterator over lifecycle events, for one thread. Made by `sync.Manager.events`.

    It ends when the manager is closed or the context is left, after all that was published until then. A thread that is
    1,000 events behind misses what is published meanwhile; the log has a warning for each.
    """

    def __init__(self) -> None:
        self._queue: Queue[Event | None] = Queue()
        self._is_over = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        event = None if self._is_over else self._queue.get()
        if event is None:
            self._is_over = True
            raise StopIteration
        return event

    async def fill(
        self, subscribe: Callable[[], AbstractContextManager[AsyncIterator[Event]]], *, task_status: TaskStatus[None]
    ) -> None:
        """
        Put the events of a manager where a thread can wait for them.
        """
        try:
            with subscribe() as events:
                task_status.started()
                async for event in events:
                    self._put(event)
        finally:
            self._queue.put(None)

    def _put(self, event: Event) -> None:
        if self._queue.qsize() >= _BUFFER:
            _log.warning("a subscriber is too far behind and misses %s", type(event).__name__)
            return
        self._queue.put(event)
