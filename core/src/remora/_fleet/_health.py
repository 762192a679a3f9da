"""
The health of a manager's plugins, of each and of all together.

What lives here: asking them, and the overall verdict. What must not: what follows from it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio

from remora.types import HealthStatus, Status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remora._calls._caller import Caller
    from remora._fleet._fleet import Fleet


async def health_of(fleet: Fleet) -> dict[str, HealthStatus]:
    """
    The health of every plugin, after asking each.

    Raises:
        ManagerClosed: Nothing has been started yet.
    """
    fleet.entered()
    found: dict[str, HealthStatus] = {}

    async def ask(name: str, caller: Caller) -> None:
        found[name] = await caller.health()

    async with anyio.create_task_group() as group:
        for plugged in fleet:
            group.start_soon(ask, plugged.config.name, plugged.caller)
    return {name: found[name] for name in fleet.names if name in found}


async def overall_health_of(fleet: Fleet) -> HealthStatus:
    """
    One verdict on all plugins, after asking each; those that wait for their first call do not count.
    """
    dormant = {plugged.config.name for plugged in fleet if plugged.route.is_dormant}
    return _verdict({name: health for name, health in (await health_of(fleet)).items() if name not in dormant})


def _verdict(known: Mapping[str, HealthStatus]) -> HealthStatus:
    """
    Healthy when all are, unhealthy when none can be called, else degraded, naming those that are not healthy.
    """
    ill = [f"{name} is {health.status}" for name, health in known.items() if health.status is not Status.HEALTHY]
    are_all_out = all(health.status in (Status.UNHEALTHY, Status.OFFLINE) for health in known.values())
    status = Status.HEALTHY if not ill else Status.UNHEALTHY if are_all_out else Status.DEGRADED
    return HealthStatus(status=status, message="; ".join(ill) or "all plugins are healthy", last_check=time.time())
