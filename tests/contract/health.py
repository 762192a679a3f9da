"""
The health of a host in tests.
"""

from __future__ import annotations

from remora import Manager


async def until_healthy(manager: Manager) -> None:
    """
    Wait until all its plugins are healthy.
    """
    with manager.events() as events:
        while (await manager.overall_health()).status != "healthy":
            await anext(events)
