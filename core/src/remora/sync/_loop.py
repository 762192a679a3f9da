"""
An event loop in a thread of its own, and the way into it from every other thread.

What lives here: threads, futures, interrupts, forks. What must not: managers and plugins.
"""

from __future__ import annotations

import os
from concurrent.futures import Future
from contextvars import copy_context
from dataclasses import dataclass
from functools import partial
from threading import Lock, Thread, get_ident
from typing import TYPE_CHECKING, Any, TypeVar, overload

import anyio

from remora._backend import require_backend
from remora.errors import ManagerClosed
from remora.io import background_tasks
from remora.sync._inbox import Inbox
from remora.sync._request import Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from contextlib import AbstractAsyncContextManager
    from contextvars import Context, ContextVar

    from anyio.abc import TaskGroup


T = TypeVar("T")
_OVER = "the manager is shut down"


@dataclass(frozen=True, slots=True)
class _Inside:
    """
    What the thread of the loop hands out once it runs.
    """

    inbox: Inbox
    tasks: TaskGroup
    own: Mapping[ContextVar[Any], Any]
    leaving: anyio.Event
    scope: anyio.CancelScope


class Loop:
    """
    Runs what other threads ask for while one context is open in it.

    Its thread is a daemon and starts with the context, not before: what is made before a fork can be opened after it.
    """

    def __init__(self, backend: str) -> None:
        require_backend(backend)
        self._backend = backend
        self._inside: _Inside | None = None
        self._opened: Future[None] = Future()
        self._closed: Future[None] = Future()
        self._error: BaseException | None = None
        self._process = self._thread = 0
        self._is_unwanted = self._is_over = False
        self._lock = Lock()

    def open(self, context: AbstractAsyncContextManager[object]) -> None:
        """
        Start the thread and enter the context in it.

        Raises:
            ManagerClosed: It was opened before.
        """
        with self._lock:
            if self._process:
                raise ManagerClosed("a manager can be opened only once: make a new one")
            self._process = os.getpid()
        running: Future[_Inside] = Future()
        try:
            Thread(target=self._main, args=(context, running), name="remora", daemon=True).start()
            inside = running.result()
            self._opened.result()
            self._inside = inside
        except BaseException:
            self._is_unwanted = True  # for a loop that does not run yet
            if running.done() and running.exception() is None:
                _hurry(running.result())
            raise

    def close(self, error: BaseException | None = None) -> None:
        """
        Leave the context, with the error that the caller leaves with. Once is enough, and whoever is not first waits.

        In a forked process nothing happens: what is open there belongs to the parent.
        """
        inside = self._inside
        if inside is None or self._process != os.getpid():
            return
        with self._lock:
            self._error = self._error or error
        inside.inbox.post(inside.leaving.set, urgent=True)
        try:
            self._closed.result()
        except BaseException:
            _hurry(inside)
            raise

    @overload
    def call(self, function: Callable[..., Awaitable[T]], *args: object, **kwargs: object) -> T: ...

    @overload
    def call(self, function: Callable[..., T], *args: object, **kwargs: object) -> T: ...

    def call(self, function: Callable[..., Any], *args: object, **kwargs: object) -> Any:
        """
        What a function returns in the loop; a coroutine is awaited. Whoever is interrupted abandons it.

        Raises:
            ManagerClosed: The context is not open.
        """
        inside = self._entered()
        request = Request(partial(function, *args, **kwargs))
        try:
            if not inside.inbox.post(partial(request.begin, inside.tasks, inside.own)):
                raise ManagerClosed(_OVER)
            return request.wait()
        except Exception:
            raise
        except BaseException:  # an interrupt comes at any moment
            request.abandon()
            inside.inbox.post(request.cancel, urgent=True)
            raise

    def start(self, function: Callable[..., Awaitable[None]], *args: object) -> Callable[[], object]:
        """
        Start a task and wait until it is ready; returns what cancels it.

        Raises:
            ManagerClosed: The context is not open.
        """
        inside = self._entered()
        task = self.call(inside.tasks.start, function, *args, return_handle=True)
        return partial(inside.inbox.post, task.cancel)

    def _entered(self) -> _Inside:
        """
        The open context, for another thread than the loop's.
        """
        if self._process not in (0, os.getpid()):
            raise ManagerClosed("this process was forked from the one that opened the manager: open one here")
        if self._is_over:
            raise ManagerClosed(_OVER)
        if self._thread == get_ident():  # perhaps while the context is still being entered
            raise RuntimeError(
                "a call from the manager's own event loop would wait for itself: use `remora.Manager` there"
            )
        if self._inside is None:
            raise ManagerClosed("the manager is not open: use `with`, or call `open()` first")
        return self._inside

    def _main(self, context: AbstractAsyncContextManager[object], running: Future[_Inside]) -> None:
        """
        Run the loop; where it cannot even start, whoever waits for it is told.
        """
        self._thread = get_ident()
        try:
            anyio.run(self._live, context, running, copy_context(), backend=self._backend)
        except BaseException as error:
            if running.done():
                raise
            running.set_exception(error)
        finally:
            self._thread = 0  # the next thread may be given the same number

    async def _live(
        self, context: AbstractAsyncContextManager[object], running: Future[_Inside], before: Context
    ) -> None:
        """
        The whole life of the context, in one task.
        """
        own = {variable: value for variable, value in copy_context().items() if variable not in before}
        inbox = Inbox()
        try:
            async with background_tasks() as readers:
                readers.start_soon(inbox.run)
                async with anyio.create_task_group() as tasks:
                    with anyio.CancelScope() as scope:
                        leaving = anyio.Event()
                        running.set_result(_Inside(inbox, tasks, own, leaving, scope))
                        if self._is_unwanted:
                            scope.cancel()
                        await self._hold_open(context, leaving)
        finally:
            inbox.close()

    async def _hold_open(self, context: AbstractAsyncContextManager[object], leaving: anyio.Event) -> None:
        if not await _settled(self._opened, context.__aenter__):
            return
        try:
            await leaving.wait()
        finally:
            await _settled(self._closed, partial(self._leave, context))

    async def _leave(self, context: AbstractAsyncContextManager[object]) -> None:
        error = self._error
        try:
            if error is None:
                await context.__aexit__(None, None, None)
            else:
                await context.__aexit__(type(error), error, error.__traceback__)
        finally:
            self._is_over = True


async def _settled(future: Future[None], act: Callable[[], Awaitable[object]]) -> bool:
    """
    Whether something succeeds; the future gets its error where it does not.
    """
    try:
        await act()
    except BaseException as error:
        future.set_exception(error)
        if not isinstance(error, Exception):
            raise
        return False
    future.set_result(None)
    return True


def _hurry(inside: _Inside) -> None:
    inside.inbox.post(inside.scope.cancel, urgent=True)  # does nothing where the context could not be entered
