"""
A call in a served plugin: when it is cancelled, and what its caller is told then.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import anyio

from remora.errors import Code, DeadlineExceeded, PluginError

if TYPE_CHECKING:
    from remora.errors import RemoraError
    from remora.types import Call


class ServedCall:
    """
    A call that is being answered, as a job of a `WorkerPool`.

    Args:
        number: Its number on the connection.
        call: The call.

    Attributes:
        scope: Cancels the answer; None before and after.
        is_late: Whether its deadline has passed.
        is_off: Whether the call has been called off, so that no answer is wanted.
    """

    __slots__ = ("call", "is_late", "is_off", "number", "scope")

    def __init__(self, number: int, call: Call) -> None:
        self.number: int = number
        self.call: Call = call
        self.scope: anyio.CancelScope | None = None
        self.is_late: bool = False
        self.is_off: bool = False

    def call_off(self) -> None:
        """
        Cancel it, because the caller does not want the answer any more.
        """
        self.is_off = True
        if self.scope is not None:
            self.scope.cancel()

    def expire(self) -> None:
        """
        Cancel it, because its deadline has passed.
        """
        self.is_late = True
        self.call_off()

    def last_words(self) -> RemoraError | None:
        """
        The error for the caller after it has been cancelled; None when the caller does not listen any more.
        """
        if self.is_late:
            return DeadlineExceeded("the plugin ran out of time")
        if self.is_off or anyio.current_effective_deadline() == -math.inf:
            return None
        return PluginError(f"{self.call.name} was cancelled by the plugin", code=Code.INTERNAL)
