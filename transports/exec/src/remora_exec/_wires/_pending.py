"""
A call that waits for its outcome, and the time that it has left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from remora.errors import DeadlineExceeded

if TYPE_CHECKING:
    from remora.errors import RemoraError
    from remora.types import Call, Reply


class Pending:
    """
    A call in flight, and its outcome.
    """

    __slots__ = ("_done", "outcome")

    def __init__(self) -> None:
        self.outcome: Reply | RemoraError | None = None
        self._done = anyio.Event()

    def settle(self, outcome: Reply | RemoraError) -> None:
        """
        Set the outcome of the call; the first one counts.
        """
        if self.outcome is None:
            self.outcome = outcome
            self._done.set()

    async def wait(self, deadline: float | None) -> Reply | RemoraError | None:
        """
        The outcome of the call; None when the deadline came first.
        """
        if deadline is None:
            await self._done.wait()
        else:
            with anyio.CancelScope(deadline=deadline):
                await self._done.wait()
        return self.outcome


def time_left(call: Call) -> float | None:
    """
    The seconds until the deadline of a call; None when it has none.

    Raises:
        DeadlineExceeded: No time is left.
    """
    if call.deadline is None:
        return None
    left = call.deadline - anyio.current_time()
    if left <= 0:
        raise DeadlineExceeded("the time was over before the call was sent", sent=False)
    return left
