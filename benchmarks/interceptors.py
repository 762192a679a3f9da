"""
The cost of interceptors: calls over a transport that does nothing, through three interceptors that do nothing.

    python -m benchmarks.interceptors [--rounds N] [--seconds S]

Once they wrap each call, once each attempt. How it is measured: see `benchmarks.additions`.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from benchmarks.additions import calls, compare
from remora import InterceptorSpec, hookimpl

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remora import Call, Reply
    from remora.types import Attempt

NUMBER = 3
PER_CALL = 1.0


class AroundCalls:
    """
    An extension with interceptors that wrap each call.
    """

    @hookimpl
    def remora_register_interceptors(self) -> list[InterceptorSpec]:
        """
        Interceptors that only go on.
        """
        return [InterceptorSpec(f"idle-{number}", lambda _: _go_on, waits=False) for number in range(NUMBER)]


class AroundAttempts:
    """
    An extension with interceptors that wrap each attempt.
    """

    @hookimpl
    def remora_register_interceptors(self) -> list[InterceptorSpec]:
        """
        Interceptors that only go on.
        """
        return [
            InterceptorSpec(f"idle-{number}", lambda _: None, attempt=lambda _: _try_on, waits=False)
            for number in range(NUMBER)
        ]


async def _go_on(call: Call, proceed: Callable[[Call], Awaitable[Reply]], /) -> Reply:
    return await proceed(call)


async def _try_on(call: Call, proceed: Callable[[Call], Awaitable[Reply]], /, *, attempt: Attempt) -> Reply:
    return await proceed(call)


def main() -> int:
    """
    Measure, print, and compare with the target.
    """
    contenders = {
        f"{NUMBER} interceptors around each call": calls(extensions=[AroundCalls()]),
        f"{NUMBER} interceptors around each attempt": calls(extensions=[AroundAttempts()]),
    }
    return compare("interceptors", contenders, most=PER_CALL, distributions=["remora", "anyio"])


if __name__ == "__main__":
    sys.exit(main())
