"""
Asking an instance for its health, and letting its policies know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from remora._faults import innermost, told
from remora._plain import shortened
from remora.errors import RemoraError
from remora.types import HealthStatus

if TYPE_CHECKING:
    from remora._instance import Instance
    from remora._route import Route


async def probe(route: Route, instance: Instance) -> None:
    """
    Probe an instance that is ready, within the configured timeout, and publish what is new about it.
    """
    channel = instance.channel
    if channel is None:
        return
    timeout = instance.config.health_check.timeout
    started = anyio.current_time()
    health: HealthStatus | None = None
    cause = f"no answer within {timeout:g} s"
    culprit, conduct = f"the transport of {instance.origin}", route.conduct.about(instance=instance.name)
    try:
        with anyio.move_on_after(timeout):
            health = _checked(await channel.probe())
    except RemoraError as error:
        cause = shortened(error.message)
    except Exception as error:  # a transport may be a stranger's code
        conduct.failed(culprit, error)
        cause = f"{culprit} failed with {told(innermost(error))}"
    except BaseExceptionGroup as group:
        raise conduct.cancelled(culprit, group) from None
    if instance.channel is not channel:  # what was found out is about the past
        return
    instance.checked(anyio.current_time() - started if health else None)
    condition = instance.condition
    change = condition.probed(health.status, health.message) if health else condition.probe_failed(cause)
    route.health_changed(instance, change)


def _checked(health: object) -> HealthStatus:
    if not isinstance(health, HealthStatus):
        raise TypeError(f"expected a HealthStatus, got {type(health).__name__}")
    return health
