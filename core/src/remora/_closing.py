"""
Closing what is open: an instance, a plugin, or all of them, once their calls have ended.

What lives here: who is told, waited for and closed, in which order. What must not: waiting for calls (see `_drain`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from remora._owner import SHUT_DOWN, UNNEEDED
from remora.config import start_order

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remora._assembly import Part
    from remora._fleet import Fleet
    from remora._generation import Plugged

CLOSING_TIME = 60.0
"""Each owner has a limit of its own; this one is for owners that miss it."""


async def retire(fleet: Fleet, plugged: Plugged, part: Part, timeout: float) -> int:
    """
    Close an instance once its calls have ended, or have had so many seconds to do so.

    Returns:
        How many had not.
    """
    supervisor, instance = fleet.entered(), part.instance
    supervisor.retire(instance)
    remaining = await fleet.drains.run(plugged.route, instance, timeout, cause=UNNEEDED)
    if remaining:
        instance.cut()
    await supervisor.stop([instance], UNNEEDED)
    return remaining


async def end(fleet: Fleet, plugged: Plugged, timeout: float) -> int:
    """
    Close a plugin once its calls have ended, or have had so many seconds to do so.

    Returns:
        How many had not.
    """
    plugged.route.calls.drain()
    cause = SHUT_DOWN if fleet.is_closed else "the plugin is no longer configured"
    remaining = await fleet.drains.run(plugged.route, None, timeout, cause=cause)
    if remaining:
        plugged.route.cut()
    await discard(fleet, plugged.parts, cause)
    plugged.route.changed()
    if fleet.meters is not None:
        fleet.meters.detach(plugged.route)
    return remaining


async def end_all(fleet: Fleet, timeout: float) -> None:
    """
    Close every plugin, each before those that it requires, once its calls have ended or the time is over.
    """
    until = anyio.current_time() + timeout
    with anyio.move_on_after(timeout + CLOSING_TIME):
        for step in reversed(start_order(fleet.config.plugins)):
            left = max(0.0, until - anyio.current_time())
            async with anyio.create_task_group() as group:
                for plugged in filter(None, map(fleet.get, step)):
                    group.start_soon(end, fleet, plugged, left)
        await fleet.entered().stop_all()


async def cut(fleet: Fleet, plugged: Plugged) -> None:
    """
    End the calls of a plugin now, and close it until it is opened again.
    """
    plugged.route.cut()
    await discard(fleet, plugged.parts, "its calls had no more time to end")


async def discard(fleet: Fleet, parts: Iterable[Part], cause: str) -> None:
    """
    Close instances at once, for a reason.
    """
    instances = [part.instance for part in parts]
    for each in instances:
        each.stop()
    await fleet.entered().stop(instances, cause)
