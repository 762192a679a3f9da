"""
Asking an instance for its health, and passing the answer to its policies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from remora._extensions._faults import innermost, is_fault, told
from remora._plain import shortened
from remora.errors import RemoraError
from remora.types import HealthStatus

if TYPE_CHECKING:
    from remora._calls._instance import Instance
    from remora._calls._route import Route
    from remora.protocols import Channel


async def probe(route: Route, instance: Instance) -> None:
    """
    Probe an instance that is ready, within the configured timeout, and publish a change of its health.
    """
    channel = instance.channel
    if channel is None:
        return
    started = anyio.current_time()
    found = await _ask(channel, route, instance)
    if instance.channel is not channel:  # the answer is about an earlier connection
        return
    condition = instance.condition
    if isinstance(found, HealthStatus):
        instance.checked(anyio.current_time() - started)
        change = condition.probed(found.status, found.message)
    else:
        instance.checked(None)
        change = condition.probe_failed(found)
    route.health_changed(instance, change)


async def _ask(channel: Channel, route: Route, instance: Instance) -> HealthStatus | str:
    """
    The answer of the instance, or why there is none.
    """
    timeout = instance.config.health_check.timeout
    culprit, conduct = f"the transport of {instance.origin}", route.conduct.about(instance=instance.name)
    try:
        with anyio.move_on_after(timeout):
            return _checked(await channel.probe())
    except RemoraError as error:
        return shortened(error.message)
    except BaseException as error:  # a transport may be a stranger's code
        if not is_fault(error):
            raise conduct.cancelled(culprit, error) from None
        conduct.failed(culprit, error)
        return f"{culprit} failed with {told(innermost(error))}"
    return f"no answer within {timeout:g} s"


def _checked(health: object) -> HealthStatus:
    if not isinstance(health, HealthStatus):
        raise TypeError(f"expected a HealthStatus, got {type(health).__name__}")
    return health
