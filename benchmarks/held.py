"""
Calls to a plugin that holds many others meanwhile: over a Unix socket, with all policies.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio

from benchmarks.ours import call_of, calling
from benchmarks.rounds import measure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.rounds import Contender, Slice
    from remora._calls._caller import Caller
    from remora.types import Reply

HOLD = "hold"
"""The method that does not return."""

_PAYLOAD = b'"x"'


def calls_beside(endpoint: str, held: int) -> Contender:
    """
    One call after the other, while the plugin holds `held` calls of the same connection.
    """

    async def contender(seconds: float) -> Slice:
        async with calling(endpoint, held + 1) as caller, _holding(caller, held):

            async def call() -> Reply:
                return await caller.pipeline.carry(call_of(caller, _PAYLOAD))

            return await measure(call, seconds)

    return contender


@asynccontextmanager
async def _holding(caller: Caller, held: int) -> AsyncIterator[None]:
    async with anyio.create_task_group() as group:
        hold = partial(caller.pipeline.carry, call_of(caller, _PAYLOAD, method=HOLD))
        for _ in range(held):
            group.start_soon(hold)
        await anyio.wait_all_tasks_blocked()
        yield
        assert caller.route.calls.active == held
        group.cancel_scope.cancel()
