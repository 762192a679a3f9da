"""
What wraps calls and their attempts, and what knows which trace they belong to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remora.types import Attempt, Call, Reply, TraceIds


class Interceptor(Protocol):
    """
    Wraps a call as a whole: it runs before the first attempt, and gets the result of the last one.
    """

    async def __call__(self, call: Call, proceed: Callable[[Call], Awaitable[Reply]], /) -> Reply:
        """
        Go on with `await proceed(call)`, and return the reply. Both the call and the reply may be changed or replaced.
        Headers that are added by a host's interceptor have to be such as its callers may give; else `proceed` raises an
        ExtensionError, which names the interceptor.

        Raises:
            RemoraError: The call is to fail; what `proceed` raises may pass through.
        """
        ...


class AttemptInterceptor(Protocol):
    """
    Wraps each attempt of a call at one instance; for a call that is tried three times it runs three times.
    """

    async def __call__(self, call: Call, proceed: Callable[[Call], Awaitable[Reply]], /, *, attempt: Attempt) -> Reply:
        """
        Go on with `await proceed(call)`, and return the reply. A change of the call holds for this attempt only.

        Raises:
            RemoraError: The attempt is to fail; what `proceed` raises may pass through.
        """
        ...


class Tracing(Protocol):
    """
    Knows which trace a call belongs to, for exemplars and log records.
    """

    def __call__(self, call: Call, /) -> TraceIds:
        """
        The trace and the span of an attempt or a call that has just ended in this task; where it had no span of its
        own, the current ones. It is called once or twice for each attempt and each call, so it must be quick.
        """
        ...
