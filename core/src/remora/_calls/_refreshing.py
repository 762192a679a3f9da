"""
What auth methods have done beside calls, such as fetching a token: one run for all calls that ask for the same.

What lives here: sharing a run, which goes on when a call that waits for it gives up. What must not: what is done.

A run belongs to the manager's task group. If it belonged to the call that began it, a token that takes longer to fetch
than calls have time would never arrive.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio

from remora._extensions._faults import is_fault
from remora.errors import ManagerClosed, NoCredentials, RemoraError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import NoReturn

    Action = Callable[[], Awaitable[object]]
    Start = Callable[..., object]
    """Runs a coroutine function with arguments in a task of its own, as `TaskGroup.start_soon`."""

_log = logging.getLogger(__name__)

_LONGEST = 60.0
"""Seconds after which a run is given up, so that the next call begins another."""


class Run:
    """
    One run of an action.
    """

    def __init__(self) -> None:
        self._done = anyio.Event()
        self._values: list[object] = []
        self._error: RemoraError | None = None
        self._waiting = 0
        self._is_told = False

    async def result(self) -> object:
        """
        Wait for what the action returns.

        Raises:
            RemoraError: It failed; those who come second get the error's words in one of their own.
            ManagerClosed: The manager was shut down in the meantime.
        """
        self._waiting += 1
        try:
            await self._done.wait()
        finally:
            self._waiting -= 1
        if self._values:
            return self._values[0]
        if self._error is None:
            raise ManagerClosed("the manager is shut down")
        if self._is_told:
            raise NoCredentials(self._error.message) from self._error
        self._is_told = True
        raise self._error

    async def do(self, action: Action, explain: Callable[[BaseException], NoReturn]) -> None:
        """
        Run the action.
        """
        try:
            with anyio.move_on_after(_LONGEST):
                self._values.append(await action())
            if not self._values:
                raise NoCredentials(f"credentials did not arrive within {_LONGEST:g} s")
        except BaseException as error:  # a method may be a stranger's code
            if not is_fault(error):
                raise
            self._error = _explained(explain, error)
            if not self._waiting:
                _log.warning("credentials were not renewed: %s", self._error)
        finally:
            self._done.set()


class Refreshing:
    """
    The runs that are under way for one auth method.
    """

    def __init__(self, start: Start, explain: Callable[[BaseException], NoReturn]) -> None:
        self._start = start
        self._explain = explain
        self._runs: dict[Action, Run] = {}

    def run(self, action: Action) -> Run:
        """
        The run of an equal action that is under way, or else a new one.
        """
        if (run := self._runs.get(action)) is None:
            run = self._runs[action] = Run()
            self._start(self._do, action, run)
        return run

    async def _do(self, action: Action, run: Run) -> None:
        try:
            await run.do(action, self._explain)
        finally:
            del self._runs[action]


def _explained(explain: Callable[[BaseException], NoReturn], error: BaseException) -> RemoraError:
    try:
        explain(error)
    except RemoraError as explained:
        return explained
