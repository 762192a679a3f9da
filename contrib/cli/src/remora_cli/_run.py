"""
Running a coroutine from the command line: on the chosen event loop, and stopped cleanly by a signal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio

from remora.serve import require_backend, stopping_signals

if TYPE_CHECKING:
    import signal
    from collections.abc import AsyncIterator, Awaitable, Callable

T = TypeVar("T")


def run(main: Callable[[], Awaitable[T]], *, backend: str = "asyncio") -> T:
    """
    What a coroutine function returns.

    Raises:
        KeyboardInterrupt: A signal came first; by then the coroutine has been cancelled and has cleaned up.
        NotInstalled: The event loop is not there.
    """
    require_backend(backend)
    return anyio.run(_until_signal, main, backend=backend)


async def _until_signal(main: Callable[[], Awaitable[T]]) -> T:
    results: list[T] = []
    errors: list[Exception] = []
    with anyio.open_signal_receiver(*stopping_signals()) as signals:
        async with anyio.create_task_group() as group:
            group.start_soon(_cancel_on_signal, signals, group.cancel_scope)
            try:
                results.append(await main())
            except Exception as error:  # raised again below, so that it leaves as it is and not in a group
                errors.append(error)
            group.cancel_scope.cancel()
    if errors:
        raise errors[0]
    if not results:
        raise KeyboardInterrupt
    return results[0]


async def _cancel_on_signal(signals: AsyncIterator[signal.Signals], scope: anyio.CancelScope) -> None:
    await anext(signals)
    scope.cancel()
