"""
Opening new instances, and waiting until they can take calls.

What lives here: when an instance is good enough. What must not: what happens with it then (see `_reload._transition`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from remora._calls._change_of import change_of
from remora._calls._instance import State
from remora._calls._probing import probe
from remora.errors import ConfigError, ManagerClosed, RemoraError, Unavailable
from remora.types import Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remora._calls._instance import Instance
    from remora._calls._route import Route
    from remora._fleet._assembly import Part
    from remora._fleet._fleet import Fleet
    from remora._fleet._generation import Plugged

_ILL = (Status.UNHEALTHY, Status.OFFLINE)


async def open_all(fleet: Fleet, plugged: Plugged, parts: Iterable[Part], *, limit: float) -> None:
    """
    Open parts of a plugin, and wait until each can take calls.

    Args:
        fleet: Where the plugin is.
        plugged: The plugin.
        parts: The parts.
        limit: Seconds within which each must become ready and healthy.

    Raises:
        RemoraError: One of them cannot; the others are open, or are being opened.
    """
    parts = list(parts)
    errors: list[RemoraError] = []

    async def one(part: Part) -> None:
        try:
            await _good(plugged.route, part.instance, limit)
        except RemoraError as error:
            errors.append(error)
            group.cancel_scope.cancel()

    fleet.open(plugged, parts)
    async with anyio.create_task_group() as group:
        for part in parts:
            group.start_soon(one, part)
    if errors:
        raise errors[0]


def are_ready(parts: Iterable[Part]) -> bool:
    """
    Whether all of them are open.
    """
    return all(is_ready(part.instance) for part in parts)


async def _good(route: Route, instance: Instance, limit: float) -> None:
    with anyio.move_on_after(limit):
        await until_good(route, instance)
        return
    message = f"{instance.name} was not ready and healthy within {limit:g} s: {_why(instance)}"
    raise Unavailable(message, plugin=route.name, sent=False)


async def until_good(route: Route, instance: Instance) -> None:
    """
    Wait until an instance is ready and, if it has health checks, healthy.
    """
    while True:
        await _until_ready(route, instance)
        if not instance.config.health_check.enabled:
            return
        await probe(route, instance)
        if is_ready(instance) and instance.condition.status not in _ILL:
            return
        await anyio.sleep(instance.condition.soonest_check())


async def _until_ready(route: Route, instance: Instance) -> None:
    while instance.state is not State.READY:
        if instance.state is State.STOPPED:
            raise ManagerClosed("it has been stopped")
        if isinstance(instance.error, ConfigError):  # trying again would not help
            raise instance.error
        if instance.state is State.FAILED:  # nobody tries again for minutes
            raise Unavailable(f"{instance.name} has failed: {_why(instance)}", plugin=route.name, sent=False)
        await change_of(route)


def is_ready(instance: Instance) -> bool:
    """
    Whether an instance is open.
    """
    return instance.state is State.READY


def _why(instance: Instance) -> str:
    return instance.condition.cause if is_ready(instance) else instance.why_out()
