"""
Waiting for something to happen to a plugin.

What lives here: the wait. What must not: what it is for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from remora._route import Route


async def change_of(*routes: Route) -> None:
    """
    Wait until something has changed about one of several plugins, or about one of their instances.
    """
    changed = anyio.Event()
    for route in routes:
        route.wait(changed)
    try:
        await changed.wait()
    finally:
        for route in routes:
            route.forget(changed)
