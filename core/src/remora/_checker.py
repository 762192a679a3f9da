"""
Asking a health checker of the application, in bounded time, whatever it does.

What lives here: one check, and what is known from it. What must not: when to check, and who learns of it.
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from inspect import isawaitable
from typing import TYPE_CHECKING

import anyio

from remora._extensions._faults import cancellation, innermost, told
from remora.errors import RemoraError
from remora.types import HealthStatus, Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remora.policy import HealthState, StateChange

    Checker = Callable[[], Awaitable[HealthStatus | Status | bool | None]]

_log = logging.getLogger(__name__)


class Check:
    """
    A checker, and what is known about the health that it checks.
    """

    def __init__(self, name: str, checker: Checker, timeout: float, state: HealthState) -> None:
        self.name = name
        self.culprit = f"the checker {name!r}"
        self.checker = checker
        self.timeout = timeout
        self.state = state
        self.lock = anyio.Lock()
        self.scope: anyio.CancelScope | None = None
        self._known = HealthStatus()

    def judge(self, answer: HealthStatus, seconds: float | None) -> StateChange[Status] | None:
        """
        Take an answer into account; `seconds` is how long it took, None when it did not come in time.
        """
        change = self.state.probed(answer.status, answer.message)
        self._known = replace(answer, last_check=time.time(), response_time=seconds)
        return change

    def health(self) -> HealthStatus:
        """
        The health as it is known now.
        """
        return replace(self._known, status=self.state.status, message=self._known.message or self.state.cause)


async def ask(check: Check, judge: Callable[[HealthStatus, float | None], None]) -> None:
    """
    Make one check. It fails at its timeout, even when the checker cannot be stopped: then its end is waited for, and
    each further timeout counts as another failure, so that no old verdict is taken for a new one.
    """
    answer = _Answer(check)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(answer.get)
            while not await answer.arrives():
                judge(_failure(f"no answer within {check.timeout:g} s"), None)
    except BaseExceptionGroup as errors:
        raise cancellation(errors, check.culprit) from None
    if answer.health is not None:
        judge(answer.health, answer.seconds)


class _Answer:
    """
    The answer of a checker to one check.
    """

    def __init__(self, check: Check) -> None:
        self.health: HealthStatus | None = None
        self.seconds: float | None = None
        self._check = check
        self._scope = anyio.CancelScope()
        self._done = anyio.Event()

    async def get(self) -> None:
        started = anyio.current_time()
        try:
            with self._scope:
                health = await self._asked()
                if not self._scope.cancel_called:
                    self.health, self.seconds = health, anyio.current_time() - started
        finally:
            self._done.set()

    async def arrives(self) -> bool:
        """
        Whether it arrives in time; if not, the checker is cancelled.
        """
        with anyio.move_on_after(self._check.timeout):
            await self._done.wait()
        if not self._done.is_set():
            self._scope.cancel()
        return self._done.is_set()

    async def _asked(self) -> HealthStatus:
        try:
            return _read(await _awaitable(self._check.checker()))
        except RemoraError as error:
            return _failure(error.message)
        except Exception as error:  # the application's checker may raise anything
            _log.debug("%s failed", self._check.culprit, exc_info=error)
            return _failure(told(innermost(error)))
        except BaseExceptionGroup as group:
            raise cancellation(group, self._check.culprit) from None


def _awaitable(answer: object) -> Awaitable[object]:
    if not isawaitable(answer):
        raise TypeError(f"a checker is an async function; this one returned {type(answer).__name__}")
    return answer


def _read(answer: object) -> HealthStatus:
    if answer is None or answer is True:
        return HealthStatus(status=Status.HEALTHY)
    if answer is False:
        return _failure("the checker says no")
    if isinstance(answer, Status):
        answer = HealthStatus(status=answer)
    if not isinstance(answer, HealthStatus):
        raise TypeError(f"expected a HealthStatus, a Status, a bool or None, got {type(answer).__name__}")
    return answer if answer.message else replace(answer, message=f"the checker says {answer.status}")


def _failure(cause: str) -> HealthStatus:
    return HealthStatus(status=Status.UNHEALTHY, message=cause)
