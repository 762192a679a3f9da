"""
What stands in the way of calls, and knows which trace they belong to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remora.types import Attempt, Call, Reply, TraceIds


class Interceptor(Protocol):
    """
    Wraps every attempt-independent part of a call: sees it before the first attempt and its end after the last.
    """

    async def __call__(self, call: Call, proceed: Callable[[Call], Awaitable[Reply]], /) -> Reply:
        """
        Let the call go on with `await proceed(call)`, changed or not, and return its reply, changed or not.
        """
        ...


class AttemptInterceptor(Protocol):
    """
    Wraps the sending of one attempt of a call to one instance; a call that is tried three times passes three times.
    """

    async def __call__(self, call: Call, proceed: Callable[[Call], Awaitable[Reply]], /, *, attempt: Attempt) -> Reply:
        """
        Let the attempt go on with `await proceed(call)`, and return its reply. What it changes in the call is gone
        with the attempt.
        """
        ...


class Tracing(Protocol):
    """
    Knows which trace a call belongs to, for exemplars and log records.
    """

    def __call__(self, call: Call, /) -> TraceIds:
        """
        The trace and the span of an attempt or a call that has just ended, as far as this task knows; of one that no
        span was made for, those at hand. Called once or twice for each attempt and each call: it must be quick.
        """
        ...
