"""
The way between the caller's loop and the one that grpcio runs on.

What lives here: the interface, and the bridge of asyncio, where both are one. What must not: trio (see `_trio`), gRPC.
"""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from remora_grpc._forks import uses

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
    from typing import Any

T = TypeVar("T")


class Bridge(Protocol):
    """
    Runs coroutines on either side and hands their end to the other; cancelling the waiting side cancels them.
    """

    def run(self, function: Callable[..., Coroutine[Any, Any, T]], /, *args: Any) -> Coroutine[Any, Any, T]:
        """
        On the caller's loop: have the coroutine run on grpcio's.
        """
        ...

    async def answer(self, function: Callable[..., Awaitable[T]], /, *args: Any) -> T:
        """
        On grpcio's loop: have the coroutine run on the caller's.
        """
        ...


class _Direct:
    """
    The bridge of asyncio.
    """

    def run(self, function: Callable[..., Coroutine[Any, Any, T]], /, *args: Any) -> Coroutine[Any, Any, T]:
        return function(*args)

    async def answer(self, function: Callable[..., Awaitable[T]], /, *args: Any) -> T:
        return await function(*args)


@asynccontextmanager
async def open_bridge(*, serving: bool = False) -> AsyncIterator[Bridge]:
    """
    The bridge for the running loop; `answer` works only on one that is `serving`.

    Raises:
        ConfigError: gRPC cannot be used in this process.
    """
    with uses.one():
        if not _on_trio():
            yield _Direct()
            return
        from remora_grpc._trio import open_trio_bridge

        async with open_trio_bridge(serving=serving) as bridge:
            yield bridge


def _on_trio() -> bool:
    # `trio` is an optional dependency: a program that has not imported it is not running on it.
    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_task())
