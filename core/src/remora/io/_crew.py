"""
Who does the work of a connection: a few tasks that take one job after the other.

A task and a cancel scope for each job would cost more than most jobs do. So a worker goes on with the next job as long
as there is one, all in one scope, and is cancelled with a job that is called off. Before it begins a job while others
wait, another worker is woken for those, so that a job that takes its time holds up nobody.

Every job finds its worker as new: one that has been cancelled, or whose context variables a job has changed, leaves.

No lock is needed: nothing between looking at the queue and waking a worker awaits, so an event loop serialises it.
"""

from __future__ import annotations

from collections import deque
from contextvars import copy_context
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import anyio

from remora.io._loop import waiters

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextvars import Context

    from anyio.abc import TaskGroup

    from remora.io._loop import Waiter

_MOST_IDLE = 64


class Job(Protocol):
    """
    What is to be done.

    Attributes:
        scope: Cancels it; None while nobody is at it.
    """

    scope: anyio.CancelScope | None


J = TypeVar("J", bound=Job)


class Crew(Generic[J]):
    """
    Workers, as many as there are jobs that take their time.

    Args:
        tasks: Where they live.
        work: Does a job. It raises nothing but cancellation.
    """

    def __init__(self, tasks: TaskGroup, work: Callable[[J], Awaitable[None]]) -> None:
        self._tasks = tasks
        self._work = work
        self._waiter = waiters()
        self._jobs: deque[J] = deque()
        self._idle: list[Waiter] = []
        self._is_one_coming = False

    def add(self, job: J) -> None:
        """
        Have a job done soon.
        """
        self._jobs.append(job)
        self._summon()

    def _summon(self) -> None:
        """
        Have a worker come who will look at the queue, unless one is on its way.
        """
        if self._is_one_coming or not self._jobs:
            return
        self._is_one_coming = True
        while self._idle:
            if not (waiter := self._idle.pop()).done():
                waiter.set_result(None)
                return
        self._tasks.start_soon(self._stay)

    async def _stay(self) -> None:
        as_new = copy_context()
        try:
            with anyio.CancelScope() as scope:
                while await self._work_off(scope, as_new) and len(self._idle) < _MOST_IDLE:
                    waiter = self._waiter()
                    self._idle.append(waiter)
                    await waiter
        finally:
            self._summon()

    async def _work_off(self, scope: anyio.CancelScope, as_new: Context) -> bool:
        """
        Do what waits.

        Returns:
            Whether the worker is fit for more.
        """
        self._is_one_coming = False
        while self._jobs:
            job = self._jobs.popleft()
            self._summon()
            job.scope = scope
            try:
                await self._work(job)
            finally:
                job.scope = None
            if scope.cancel_called or not _is_as_new(as_new):
                return False
        return True


def _is_as_new(context: Context) -> bool:
    try:
        return copy_context() == context
    except Exception:  # a value may be a stranger's object, that does not like to be compared
        return False
