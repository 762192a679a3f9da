"""
Closing what is open: an instance, a plugin, or all of them, once their calls have ended.

What lives here: what is drained and closed, and in which order. What must not: waiting for calls (see `_drain`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from remora._fleet._owner import SHUT_DOWN, UNNEEDED
from remora._numbers import is_number, seconds
from remora.config import start_order
from remora.errors import DrainTimeout, InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remora._fleet._assembly import Part
    from remora._fleet._drain import Tell
    from remora._fleet._fleet import Fleet
    from remora._fleet._generation import Plugged

CLOSING_TIME = 60.0
"""Seconds. Each owner has a limit of its own; this one is for owners that miss theirs."""


async def retire(fleet: Fleet, plugged: Plugged, part: Part, timeout: float) -> int:
    """
    Close an instance once its calls have ended, or after `timeout` seconds.

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
    Close a plugin once its calls have ended, or after `timeout` seconds.

    Returns:
        How many had not.
    """
    plugged.route.calls.drain()
    cause = SHUT_DOWN if fleet.is_closed else "the plugin is removed, or switched off"
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
            await _end_step(fleet, step, until)
        await fleet.entered().stop_all()


async def _end_step(fleet: Fleet, names: Iterable[str], until: float) -> None:
    left = max(0.0, until - anyio.current_time())
    async with anyio.create_task_group() as group:
        for plugged in filter(None, map(fleet.get, names)):
            group.start_soon(end, fleet, plugged, left)


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


async def drain(fleet: Fleet, name: str, timeout: float, tell: Tell, *, force: bool) -> None:
    """
    Refuse new calls of a plugin, and wait for those under way.

    Args:
        fleet: Where the plugin is.
        name: Its name.
        timeout: Seconds to wait.
        tell: Called with the progress each time that a call has ended.
        force: Cancel the calls that are still under way then, and close the plugin until it is opened again.

    Raises:
        DrainTimeout: Calls were still under way when the time was over, or when new ones were admitted again.
        InvalidRequest: The timeout is no number; nothing changes.
    """
    plugged = fleet[name]
    if not is_number(timeout):
        raise InvalidRequest(f"a timeout is a number of seconds, not {timeout!r:.40}", plugin=name)
    timeout = seconds(timeout)
    plugged.route.calls.drain()
    remaining = await fleet.drains.run(plugged.route, None, timeout, tell, cause="it was asked for")
    if not remaining:
        return
    if plugged.route.is_open:
        message = f"a restart has let calls in again while {remaining} were still under way"
        raise DrainTimeout(message, plugin=name, remaining=remaining)
    if force:
        await cut(fleet, plugged)
    message = f"{remaining} {'call was' if remaining == 1 else 'calls were'} still under way after {timeout:g} s"
    counts = {"remaining": 0, "cancelled": remaining} if force else {"remaining": remaining}
    raise DrainTimeout(message, plugin=name, **counts)
