"""
What the fast paths need of the event loop that runs now.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


class Waiter(Protocol):
    """
    What one task waits for by `await`, which gives what it was told; a fraction of what `anyio.Event` costs.
    """

    def done(self) -> bool:
        """
        Whether it has happened.
        """
        ...

    def set_result(self, result: Any, /) -> None:
        """
        It has happened; wakes the task. Only once.
        """
        ...

    def __await__(self) -> Generator[Any, Any, Any]: ...


class Standing(Protocol):
    """
    In which cancel scope a task was at a moment.
    """

    def holds(self) -> bool:
        """
        Whether it is still in that one, and nobody has asked the task itself to end.
        """
        ...

    def restore(self) -> None:
        """
        Leave the scopes that have been entered since.
        """
        ...


class Unknown:
    """
    How a task stands that nobody can tell of: not as before, to be sure.
    """

    def holds(self) -> bool:
        """
        Never, so that nobody relies on it.
        """
        return False

    def restore(self) -> None:
        """
        There is nothing to go back to.
        """


def runs_on_trio() -> bool:
    """
    Whether the event loop that runs now is trio's.
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
    How the running task stands now. Only what anyio and trio keep to themselves tells; a version that keeps it
    elsewhere makes things slower, not wrong.
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
    Whether a cancellation that has just been caught was meant for the running task. On asyncio who waits for a task of
    his own that has been cancelled gets the same exception.
    """
    if runs_on_trio():
        return True
    from asyncio import current_task

    task = current_task()
    return task is None or task.cancelling() > 0


def soon() -> Callable[[Callable[[], object]], object] | None:
    """
    A function that has another called in the next step of the event loop; None where that is no cheaper than a task.
    """
    if runs_on_trio():
        return None
    from asyncio import get_running_loop

    return get_running_loop().call_soon


def loop_clock() -> Callable[[], float]:
    """
    A function that gives what `anyio.current_time` gives on the event loop that runs now, in a tenth of the time.
    """
    if runs_on_trio():
        from trio.lowlevel import current_clock

        return current_clock().current_time
    from asyncio import BaseEventLoop, get_running_loop

    loop = get_running_loop()
    return time.monotonic if type(loop).time is BaseEventLoop.time else loop.time
