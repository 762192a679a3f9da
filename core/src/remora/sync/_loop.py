"""
An event loop in a thread of its own, and the way into it from every other thread.

What lives here: threads, futures, interrupts, forks. What must not: managers and plugins.
"""

from __future__ import annotations

import os
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from inspect import isawaitable
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, TypeVar, overload

import anyio
from anyio.from_thread import BlockingPortal

from remora._backend import require_backend
from remora._context import handled_call
from remora.errors import ManagerClosed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from contextlib import AbstractAsyncContextManager


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Inside:
    """
    What the thread of the loop hands out once it runs.
    """

    portal: BlockingPortal
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
        self._process = 0
        self._is_unwanted = False
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
                _hurry(running.result())  # does nothing where the context could not be entered
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
        with suppress(RuntimeError):  # another thread was faster
            inside.portal.start_task_soon(inside.leaving.set)
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
        request = _Request(partial(function, *args, **kwargs))
        try:
            with self._entrance() as portal:
                future = portal.start_task_soon(request.run)
            return future.result()
        except CancelledError as error:
            raise ManagerClosed("the manager was shut down during the call") from error
        except Exception:
            raise
        except BaseException:  # an interrupt comes at any moment, also before there is a future to be cancelled
            request.is_abandoned = True
            with suppress(ManagerClosed), self._entrance() as portal:
                portal.start_task_soon(request.abandon)
            raise

    def start(self, function: Callable[..., Awaitable[None]], *args: object) -> Callable[[], object]:
        """
        Start a task and wait until it is ready; returns what cancels it.

        Raises:
            ManagerClosed: The context is not open.
        """
        with self._entrance() as portal:
            future, _ = portal.start_task(function, *args)
        return future.cancel

    @contextmanager
    def _entrance(self) -> Iterator[BlockingPortal]:
        """
        The way in, as long as there is one.
        """
        if self._inside is None:
            raise ManagerClosed("the manager is not open: use `with`, or call `open()` first")
        if self._process != os.getpid():
            raise ManagerClosed("this process was forked from the one that opened the manager: open one here")
        try:
            yield self._inside.portal
        except RuntimeError as error:
            if self._closed.done():
                raise ManagerClosed("the manager is shut down") from error
            raise RuntimeError(
                "a call from the manager's own event loop would wait for itself: use `remora.Manager` there"
            ) from error

    def _main(self, context: AbstractAsyncContextManager[object], running: Future[_Inside]) -> None:
        """
        Run the loop; where it cannot even start, whoever waits for it is told.
        """
        try:
            anyio.run(self._live, context, running, backend=self._backend)
        except BaseException as error:
            if running.done():
                raise
            running.set_exception(error)

    async def _live(self, context: AbstractAsyncContextManager[object], running: Future[_Inside]) -> None:
        """
        The whole life of the context, in one task.
        """
        async with BlockingPortal() as portal:
            with anyio.CancelScope() as scope:
                leaving = anyio.Event()
                running.set_result(_Inside(portal, leaving, scope))
                if self._is_unwanted:
                    scope.cancel()
                await self._hold_open(context, leaving)

    async def _hold_open(self, context: AbstractAsyncContextManager[object], leaving: anyio.Event) -> None:
        if not await _settled(self._opened, context.__aenter__):
            return
        try:
            await leaving.wait()
        finally:
            await _settled(self._closed, partial(self._leave, context))

    async def _leave(self, context: AbstractAsyncContextManager[object]) -> None:
        error = self._error
        if error is None:
            await context.__aexit__(None, None, None)
        else:
            await context.__aexit__(type(error), error, error.__traceback__)


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


class _Request:
    """
    What one thread asks for. A handler that calls on from another loop keeps its deadline, on this loop's clock.
    """

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._handled = handled_call.get()
        self._remaining = None if self._handled is None else self._handled.remaining
        self._scope: anyio.CancelScope | None = None
        self.is_abandoned = False

    async def run(self) -> Any:
        """
        Call the function, unless nobody waits for it any more.
        """
        if self._handled is not None:
            deadline = None if self._remaining is None else anyio.current_time() + self._remaining
            handled_call.set(replace(self._handled, deadline=deadline))
        with anyio.CancelScope() as self._scope:
            if self.is_abandoned:
                self._scope.cancel()
            result = self._function()
            return await result if isawaitable(result) else result
        raise CancelledError

    def abandon(self) -> None:
        """
        Cancel it.
        """
        if self._scope is not None:
            self._scope.cancel()


def _hurry(inside: _Inside) -> None:
    with suppress(RuntimeError):  # it has ended already
        inside.portal.start_task_soon(inside.scope.cancel)
