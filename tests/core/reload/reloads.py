"""
What the tests of reloads do all the time: reload, read the report, have calls under way meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from remora import ReloadOptions, ReloadReport, RemoraError
from tests.core.scripts import Stage

STRATEGIES = ["graceful", "rolling", "recreate"]


async def reload(host: Stage, *tables: dict[str, Any], options: ReloadOptions | None = None, **named: Any) -> Any:
    """
    Reload; the table given by position is the plugin `p`.
    """
    plugins = {**({"p": tables[0]} if tables else {}), **named}
    return await host.manager.reload({"plugins": plugins}, options)


def actions(report: ReloadReport) -> dict[str, str]:
    """
    What has been done, by plugin.
    """
    return {name: str(each.action) for name, each in report.plugins.items()}


@asynccontextmanager
async def held(host: Stage, count: int = 1, name: str = "p", **options: Any) -> AsyncIterator[list[RemoraError | None]]:
    """
    Calls under way in the body; how they have ended, afterwards.
    """
    ends: list[RemoraError | None] = []

    async def one() -> None:
        ends.append(await host.outcome(name, **options))

    async with anyio.create_task_group() as group:
        for _ in range(count):
            group.start_soon(one)
        await anyio.sleep(0.01)
        yield ends
