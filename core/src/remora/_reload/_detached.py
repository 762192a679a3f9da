"""
Work that is started for one caller and done in the manager's task group: it goes on when the caller is cancelled.

What lives here: handing over the work and its result. What must not: what the work is.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio

from remora.errors import ManagerClosed, RemoraError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskGroup

T = TypeVar("T")

_log = logging.getLogger(__name__)


class Detached(Generic[T]):
    """
    One piece of such work.
    """

    def __init__(self, work: Callable[[], Awaitable[T]]) -> None:
        self._work = work
        self._done = anyio.Event()
        self._results: list[T] = []
        self._error: Exception | None = None
        self._is_left = False

    async def done_in(self, group: TaskGroup) -> T:
        """
        Have it done, and wait for its result.

        Raises:
            ManagerClosed: The manager was shut down in the meantime.
        """
        group.start_soon(self._run)
        try:
            await self._done.wait()
        except BaseException:
            self._is_left = True
            raise
        if self._error is not None:
            raise self._error
        if not self._results:
            raise ManagerClosed("the manager is shut down")
        return self._results[0]

    async def _run(self) -> None:
        try:
            self._results.append(await self._work())
        except Exception as error:  # it belongs to the caller, not to the manager's task group
            self._error = error
            if self._is_left:
                _tell_log(error)
        finally:
            self._done.set()


def _tell_log(error: Exception) -> None:
    """
    Log an error for which no caller waits any more, unless it only says that the manager has ended.
    """
    if isinstance(error, ManagerClosed):
        return
    if isinstance(error, RemoraError):
        _log.error("a change whose caller was cancelled has failed: %s", error)
    else:
        _log.error("a change whose caller was cancelled has failed", exc_info=error)
