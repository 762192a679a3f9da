"""
Who does the work of a connection: a few tasks that take one job after the other.

A task and a cancel scope for each job would cost more than most jobs do. So a worker goes on with the next job as long
as there is one, all in one scope, and is cancelled with a job that is called off. Before it begins a job while others
wait, another worker is woken for those, so that a job that takes its time holds up nobody.

Every job finds its worker as new. One leaves that has been cancelled, whose context variables a job has changed, or in
which a job has left a cancel scope open (as who breaks out of an asynchronous generator does, and has to be forgiven).

No lock is needed: nothing between looking at the queue and waking a worker awaits, so an event loop serialises it.
"""

from __future__ import annotations

import math
from collections import deque
from contextvars import copy_context
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import anyio

from remora.io._loop import standing, waiters

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextvars import Context

    from anyio.abc import TaskGroup

    from remora.io._loop import Standing, Waiter

_MOST_IDLE = 64
_NEW = object()


class Job(Protocol):
    """
    What is to be done.

    Attributes:
        scope: Cancels it; None while nobody is at it.
    """

    scope: anyio.CancelScope | None


J = TypeVar("J", bound=Job)


class WorkerPool(Generic[J]):
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
        self._context = copy_context()
        self._jobs: deque[J] = deque()
        self._idle: list[Waiter] = []
        self._coming: object = None
        """The worker that is on its way: what it waited for, or _NEW."""

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
        if self._coming is not None or not self._jobs:
            return
        while self._idle:
            if not (waiter := self._idle.pop()).done():
                self._coming = waiter
                waiter.set_result(None)
                return
        self._coming = _NEW
        self._context.run(self._tasks.start_soon, self._stay)  # not in the context of a job that may be running

    async def _stay(self) -> None:
        waiter: Waiter | None = None
        stands: Standing | None = None
        try:
            with anyio.CancelScope() as scope:
                stands, as_new = standing(), copy_context()
                while await self._work_off(scope, stands, as_new) and len(self._idle) < _MOST_IDLE:
                    waiter = self._waiter()
                    self._idle.append(waiter)
                    await waiter
        except anyio.get_cancelled_exc_class():
            if anyio.current_effective_deadline() == -math.inf:
                raise
            # else somebody has cancelled the task of a job; that is the end of this worker, not of the others
        except RuntimeError:
            if stands is None or stands.holds():
                raise
            # else trio complains of what a job has left open
        finally:
            if self._coming is waiter:  # it was on its way, and has not arrived
                self._coming = None
            self._summon()

    async def _work_off(self, scope: anyio.CancelScope, stands: Standing, as_new: Context) -> bool:
        """
        Do what waits.

        Returns:
            Whether the worker is fit for more.
        """
        self._coming = None
        while self._jobs:
            job = self._jobs.popleft()
            self._summon()
            job.scope = scope
            try:
                await self._work(job)
            finally:
                job.scope = None
            if scope.cancel_called or not stands.holds():
                stands.restore()
                return False
            if not _is_as_new(as_new):
                return False
        return True


def _is_as_new(context: Context) -> bool:
    try:
        return copy_context() == context
    except Exception:  # a value may be a stranger's object, that does not like to be compared
        return False
