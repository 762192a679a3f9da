"""
Waiting for a plugin to change.

What lives here: the wait. What must not: what it is for (see `_fleet._readiness`, `_fleet._holding`, `_fleet._drain`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from remora._calls._route import Route


async def change_of(*routes: Route) -> None:
    """
    Wait until one of several plugins, or one of their instances, has changed.
    """
    changed = anyio.Event()
    for route in routes:
        route.wait(changed)
    try:
        await changed.wait()
    finally:
        for route in routes:
            route.forget(changed)
