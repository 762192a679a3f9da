"""
What one thread asks an event loop for, and the answer that it waits for.

It is made on the thread that asks. What is written there is read in the loop after the message that says so, and the
other way round: the answer before the lock is released.
"""

from __future__ import annotations

from contextvars import copy_context
from dataclasses import replace
from inspect import isawaitable
from threading import Lock
from typing import TYPE_CHECKING, Any

import anyio

from remora._context import handled_call
from remora.errors import ManagerClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextvars import ContextVar

    from anyio import TaskHandle
    from anyio.abc import TaskGroup


class Request:
    """
    A function to be called in the loop, in the context of the thread that asks; what it returns is awaited if need be.

    A handler that calls on from another loop keeps its deadline, on this loop's clock.

    Args:
        function: The function.
    """

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._context = copy_context()
        self._handled = handled_call.get()
        self._remaining = None if self._handled is None else self._handled.remaining
        self._answered = Lock()
        self._answered.acquire()
        self._task: TaskHandle[None, Any] | None = None
        self._is_abandoned = False
        self._answer: Any = None
        self._error: BaseException | None = None

    def wait(self) -> Any:
        """
        The answer.

        Raises:
            ManagerClosed: The loop has ended before there was one.
        """
        self._answered.acquire()
        try:
            if self._error is not None:
                raise self._error
            return self._answer
        finally:
            self._error = None  # whose traceback refers to this

    def abandon(self) -> None:
        """
        Wait for it no more; `cancel` has to follow in the loop.
        """
        self._is_abandoned = True

    def begin(self, tasks: TaskGroup, own: Mapping[ContextVar[Any], Any]) -> None:
        """
        In the loop: start a task for it.

        Args:
            tasks: Where it runs.
            own: The context variables that the loop has set; they are the loop's for the task, too.
        """
        try:
            self._context.run(self._start, tasks, own)
        except RuntimeError:  # the tasks have ended
            self._error = ManagerClosed("the manager is shut down")
            self._answered.release()

    def cancel(self) -> None:
        """
        In the loop: cancel its task.
        """
        if self._task is not None:
            self._task.cancel()

    def _start(self, tasks: TaskGroup, own: Mapping[ContextVar[Any], Any]) -> None:
        for variable, value in own.items():
            variable.set(value)
        self._task = tasks.start_soon(self._run)

    async def _run(self) -> None:
        try:
            if not self._is_abandoned:
                self._answer = await self._result()
        except anyio.get_cancelled_exc_class():
            self._error = ManagerClosed("the manager was shut down during the call")
            raise
        except BaseException as error:
            self._error = error
            if not isinstance(error, Exception):
                raise
        finally:
            self._task = None
            self._answered.release()

    async def _result(self) -> Any:
        if self._handled is not None:
            deadline = None if self._remaining is None else anyio.current_time() + self._remaining
            handled_call.set(replace(self._handled, deadline=deadline))
        result = self._function()
        return await result if isawaitable(result) else result
