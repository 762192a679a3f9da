"""
Background tasks of a block of code, which end with it.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from remora.io import background_tasks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from anyio.abc import TaskGroup


class Background:
    """
    A task group whose tasks survive a cancellation from outside: they end only when their owner says so.

    Clean-up needs that: a child can be stopped in an orderly way only while its output is read.
    """

    def __init__(self, group: TaskGroup) -> None:
        self._group = group
        self._scopes: set[anyio.CancelScope] = set()

    def start(self, function: Callable[[], Awaitable[None]]) -> None:
        """
        Run a function in the background of the block.
        """
        scope = anyio.CancelScope(shield=True)
        self._scopes.add(scope)
        self._group.start_soon(self._run, function, scope)

    async def _run(self, function: Callable[[], Awaitable[None]], scope: anyio.CancelScope) -> None:
        with scope:
            await function()
        self._scopes.discard(scope)

    def cancel(self) -> None:
        """
        Cancel all tasks that still run.
        """
        for scope in self._scopes:
            scope.cancel()


@asynccontextmanager
async def background() -> AsyncIterator[Background]:
    """
    Background tasks that are cancelled when the block is left. An error of the block is raised without a group.
    """
    async with background_tasks() as group:
        tasks = Background(group)
        try:
            yield tasks
        finally:
            tasks.cancel()
