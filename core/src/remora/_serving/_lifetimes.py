"""
Served objects that are context managers: entered before the first call, left after the last one.

What lives here: in which order, for how long at the most, and what is said when one fails. What must not: calls, and
where they come from.

The scope that limits the end of an object is there from its start, since an object may have a task group of its own,
which is to end in the scope in which it began.
"""

from __future__ import annotations

import inspect
import logging
import math
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio

from remora._extensions._faults import cancellation, innermost, is_fault, told
from remora._methods import service_info
from remora.errors import Code, ConfigError, PluginError, RemoraError, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from remora._serving._dispatch import Dispatcher

_log = logging.getLogger(__name__)

_LEAST = 2.0
"""Seconds that an object gets to end, also when the calls before it have used up the time, or it is in a hurry."""

_ASYNC, _PLAIN = ("__aenter__", "__aexit__"), ("__enter__", "__exit__")


class TimeToStop:
    """
    How long what is served may take to end.

    Args:
        seconds: For the calls under way and the objects together.

    Attributes:
        is_shielded: Whether objects end undisturbed, since what serves them was itself cancelled before.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._end: float | None = None
        self.is_shielded = False

    def begin(self) -> None:
        """
        Let the time run, unless it runs already.
        """
        if self._end is None:
            self._end = anyio.current_time() + self._seconds

    def hurry(self) -> None:
        """
        Leave only what every object gets.
        """
        self._end = -math.inf

    def left(self) -> float:
        """
        Seconds for the next object.
        """
        self.begin()
        assert self._end is not None
        return max(self._end - anyio.current_time(), _LEAST)


def with_lifetimes(services: Sequence[object]) -> list[object]:
    """
    Those of the objects that are context managers.

    Raises:
        ConfigError: The class of one has only half of what makes a context manager.
    """
    return [each for each in services if _has(type(each), *_ASYNC) or _has(type(each), *_PLAIN)]


def _has(cls: type, enter: str, leave: str) -> bool:
    can_enter, can_leave = hasattr(cls, enter), hasattr(cls, leave)
    if can_enter != can_leave:
        has, lacks = (enter, leave) if can_enter else (leave, enter)
        raise ConfigError(f"{cls.__qualname__} has {has}, but no {lacks}; a service has both or none")
    return can_enter


@asynccontextmanager
async def living(services: Sequence[object], time: TimeToStop) -> AsyncIterator[None]:
    """
    Objects that are context managers, entered in their order and left in the reverse one.

    Raises:
        Unavailable: One of them cannot start.
        ConfigError: One of them cannot start, for a ConfigError.
        PluginError: One of them has failed to end.
    """
    stack, failures = AsyncExitStack(), list[RemoraError]()
    try:
        for each in services:
            await stack.enter_async_context(_lifetime(each, time, failures))
        yield
    finally:  # without the body's exception: the objects have had no part in it
        if anyio.current_effective_deadline() == -math.inf:
            time.is_shielded = True
            time.hurry()
        await stack.aclose()
    if failures:
        raise failures[0]


@asynccontextmanager
async def _lifetime(service: object, time: TimeToStop, failures: list[RemoraError]) -> AsyncIterator[None]:
    """
    One object, entered and left in a scope that limits only how it is left.
    """
    name = service_info(type(service)).name
    limit = math.inf  # while the object lives
    with anyio.CancelScope() as scope:
        await _enter(service, name)
        try:
            yield
        finally:
            limit = time.left()
            scope.deadline, scope.shield = anyio.current_time() + limit, time.is_shielded
            await _leave(service, name, failures)
    if scope.cancelled_caught:
        _log.error("%s has not ended within %.3g s, and was cancelled", name, limit)


async def _enter(service: object, name: str) -> None:
    try:
        await _do(service, _ASYNC[0], _PLAIN[0])
    except BaseException as error:  # the object is a stranger's code
        if not is_fault(error):
            raise cancellation(error, name) from None
        raise _start_failure(name, error) from error


async def _leave(service: object, name: str, failures: list[RemoraError]) -> None:
    try:
        await _do(service, _ASYNC[1], _PLAIN[1], None, None, None)
    except BaseException as error:  # the object is a stranger's code
        if not is_fault(error):
            raise cancellation(error, name) from None
        _log.error("%s has failed to end", name, exc_info=error)
        failures.append(PluginError(f"{name} has failed to end: {_why(error)}", code=Code.INTERNAL))


async def _do(service: object, name: str, plain: str, *arguments: None) -> None:
    """
    Enter or leave an object, as `async with` does if it can, else as `with` does.
    """
    cls: Any = type(service)
    if hasattr(cls, name):
        await getattr(cls, name)(service, *arguments)
        return
    result = getattr(cls, plain)(service, *arguments)
    if inspect.iscoroutine(result):
        result.close()
        raise TypeError(f"{plain} is async; then its name is {name}")


def _start_failure(name: str, error: BaseException) -> RemoraError:
    message = f"{name} cannot start: {_why(error)}"
    return ConfigError(message) if isinstance(innermost(error), ConfigError) else Unavailable(message, sent=False)


def _why(error: BaseException) -> str:
    inner = innermost(error)
    return inner.message if isinstance(inner, RemoraError) else told(inner)


async def settled(dispatcher: Dispatcher) -> None:
    """
    Wait, not for long, until the calls that are cancelled when their listeners end have ended.
    """
    with anyio.move_on_after(_LEAST, shield=True):
        await dispatcher.drain()
