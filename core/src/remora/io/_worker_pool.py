"""
The workers of a connection: a few tasks that do one job after the other.

A task and a cancel scope for each job would cost more than most jobs do. So a worker goes on with the next job as long
as there is one, all in one scope, and is cancelled with a job that is called off. Before it begins a job while others
wait, another worker is woken for those, so that a slow job delays no other.

Every job gets a worker in its initial state. A worker ends when it has been cancelled, when a job has changed its
context variables, or when a job has left a cancel scope open (as breaking out of an asynchronous generator can do).

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
    A piece of work.

    Attributes:
        scope: Cancels it; None while no worker does it.
    """

    scope: anyio.CancelScope | None


J = TypeVar("J", bound=Job)


class WorkerPool(Generic[J]):
    """
    Workers, as many as there are slow jobs at the same time.

    Args:
        tasks: The task group in which they run.
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
        """The worker that has been woken and not arrived yet: what it waited for, or _NEW."""

    def add(self, job: J) -> None:
        """
        Have a job done soon.
        """
        self._jobs.append(job)
        self._provide_worker()

    def _provide_worker(self) -> None:
        """
        Wake or start a worker for the queue, unless one is already on its way.
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
            # else the task of a job was cancelled from outside; that ends this worker, not the others
        except RuntimeError:
            if stands is None or stands.holds():
                raise
            # else trio complains about scopes that a job has left open
        finally:
            if self._coming is waiter:  # it was on its way, and has not arrived
                self._coming = None
            self._provide_worker()

    async def _work_off(self, scope: anyio.CancelScope, stands: Standing, as_new: Context) -> bool:
        """
        Do the jobs in the queue.

        Returns:
            Whether the worker can take further jobs.
        """
        self._coming = None
        while self._jobs:
            job = self._jobs.popleft()
            self._provide_worker()
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
    except Exception:  # a value may be a third-party object whose comparison raises
        return False
