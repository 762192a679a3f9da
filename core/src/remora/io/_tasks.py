"""
Background tasks that belong to an open resource.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import TaskGroup


@asynccontextmanager
async def background_tasks() -> AsyncIterator[TaskGroup]:
    """
    A task group that is cancelled when its block ends, and raises the block's own error without a group around it.
    """
    raised: Exception | None = None
    async with anyio.create_task_group() as tasks:
        try:
            yield tasks
        except Exception as error:  # whatever the block raised; it is raised again below
            raised = error
        tasks.cancel_scope.cancel()
    if raised is not None:
        raise raised
