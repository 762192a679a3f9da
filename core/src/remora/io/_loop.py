"""
What the fast paths need from the running event loop.
"""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from math import inf
from typing import TYPE_CHECKING, Any, Protocol

from anyio import current_effective_deadline

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


class Waiter(Protocol):
    """
    What one task awaits; `await` returns the result. It costs a fraction of `anyio.Event`.
    """

    def done(self) -> bool:
        """
        Whether it has happened.
        """
        ...

    def set_result(self, result: Any, /) -> None:
        """
        Wake the task with a result. Only once.
        """
        ...

    def __await__(self) -> Generator[Any, Any, Any]: ...


class Standing(Protocol):
    """
    The cancel scope in which a task was at some moment.
    """

    def holds(self) -> bool:
        """
        Whether the task is still in that scope, and has not been cancelled itself.
        """
        ...

    def restore(self) -> None:
        """
        Leave the scopes that the task has entered since.
        """
        ...


class Unknown:
    """
    The cancel scope of a task when it cannot be found out; counts as changed, to be safe.
    """

    def holds(self) -> bool:
        """
        Always False, so that nobody relies on it.
        """
        return False

    def restore(self) -> None:
        """
        Do nothing.
        """


def runs_on_trio() -> bool:
    """
    Whether the running event loop is trio's.
    """
    if "trio" not in sys.modules:
        return False
    from trio.lowlevel import in_trio_run

    return in_trio_run()


def waiters() -> Callable[[], Waiter]:
    """
    A function that makes waiters.
    """
    if runs_on_trio():
        from remora.io._trio import Parked

        return Parked
    from asyncio import get_running_loop

    return get_running_loop().create_future


def standing() -> Standing:
    """
    The cancel scope of the running task now. It comes from internals of anyio and trio; if a version keeps it
    elsewhere, this makes things slower, but not wrong.
    """
    try:
        if runs_on_trio():
            from remora.io._trio import TrioStanding

            return TrioStanding()
        from remora.io._asyncio import AsyncioStanding

        return AsyncioStanding()
    except (AttributeError, LookupError):
        return Unknown()


def is_asked_to_end() -> bool:
    """
    Whether a cancellation that has just been caught was meant for the running task. On asyncio, awaiting another task
    that was cancelled raises the same exception. A cancel scope counts also before it has reached the task.
    """
    if runs_on_trio():
        return True
    from asyncio import current_task

    task = current_task()
    return task is None or task.cancelling() > 0 or current_effective_deadline() == -inf


def soon() -> Callable[[Callable[[], object]], object] | None:
    """
    A function that schedules another for the next step of the event loop; None when that is not cheaper than a task.
    """
    if runs_on_trio():
        return None
    from asyncio import get_running_loop

    return get_running_loop().call_soon


def from_any_thread() -> Callable[[Callable[[], object]], None]:
    """
    A function that any thread may use to have another function called in the running event loop soon. It does nothing
    once the loop has ended.
    """
    if runs_on_trio():
        from remora.io._trio import from_any_thread as from_any_thread_to_trio

        return from_any_thread_to_trio()
    from asyncio import get_running_loop

    schedule = get_running_loop().call_soon_threadsafe

    def soon(function: Callable[[], object]) -> None:
        with suppress(RuntimeError):  # it is closed
            schedule(function)

    return soon


def loop_clock() -> Callable[[], float]:
    """
    A function that returns the same as `anyio.current_time` on the running event loop, in a tenth of the time.
    """
    if runs_on_trio():
        from trio.lowlevel import current_clock

        return current_clock().current_time
    from asyncio import BaseEventLoop, get_running_loop

    loop = get_running_loop()
    return time.monotonic if type(loop).time is BaseEventLoop.time else loop.time
