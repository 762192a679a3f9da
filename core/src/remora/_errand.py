"""
Work that is begun for one caller and done in the manager's task group: it goes on when the caller goes away.

What lives here: handing over the work and what comes of it. What must not: what the work is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import anyio

from remora.errors import ManagerClosed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskGroup

T = TypeVar("T")


class Errand(Generic[T]):
    """
    One piece of work.
    """

    def __init__(self, work: Callable[[], Awaitable[T]]) -> None:
        self._work = work
        self._done = anyio.Event()
        self._results: list[T] = []
        self._error: Exception | None = None

    async def done_in(self, group: TaskGroup) -> T:
        """
        Have it done, and wait for what comes of it.

        Raises:
            ManagerClosed: The manager was shut down in the meantime.
        """
        group.start_soon(self._run)
        await self._done.wait()
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
        finally:
            self._done.set()
