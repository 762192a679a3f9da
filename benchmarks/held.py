"""
Calls to a plugin that holds many others meanwhile: over a Unix socket, with all policies.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import anyio

from benchmarks.ours import call_of, calling
from benchmarks.rounds import measure

if TYPE_CHECKING:
    from benchmarks.rounds import Contender, Slice
    from remora.types import Reply

HOLD = "hold"
"""The method that does not return."""

_PAYLOAD = b'"x"'


def calls_beside(endpoint: str, held: int) -> Contender:
    """
    One call after the other, while the plugin holds `held` calls of the same connection.
    """

    async def contender(seconds: float) -> Slice:
        async with calling(endpoint, held + 1) as caller, anyio.create_task_group() as group:
            hold = partial(caller.pipeline.carry, call_of(caller, _PAYLOAD, method=HOLD))
            for _ in range(held):
                group.start_soon(hold)
            await anyio.wait_all_tasks_blocked()

            async def call() -> Reply:
                return await caller.pipeline.carry(call_of(caller, _PAYLOAD))

            found = await measure(call, seconds)
            assert caller.route.calls.active == held
            group.cancel_scope.cancel()
            return found

    return contender
