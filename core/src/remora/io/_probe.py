"""
Asking for the health of a plugin over any channel that carries calls.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio

from remora.errors import Code, PluginError
from remora.types import HealthStatus, Status
from remora.wire import decode_health, health_call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remora.types import Call, Reply

_NO_SUCH_SERVICE = frozenset({Code.UNIMPLEMENTED, Code.NOT_FOUND})
_REFUSED = frozenset({Code.UNAUTHENTICATED, Code.PERMISSION_DENIED})


async def probe_health(call: Callable[[Call], Awaitable[Reply]]) -> HealthStatus:
    """
    The health of the plugin behind `call`, by the standard health service.

    A peer without that service, or one that requires credentials for it, is healthy while it can be reached.

    Raises:
        RemoraError: It cannot be reached.
    """
    started = anyio.current_time()
    try:
        status = decode_health(await call(health_call()))
        message = "serving" if status is Status.HEALTHY else "not serving"
    except PluginError as error:
        status, message = _verdict(error)
    took = anyio.current_time() - started
    return HealthStatus(status=status, message=message, last_check=time.time(), response_time=took)


def _verdict(error: PluginError) -> tuple[Status, str]:
    if error.code in _NO_SUCH_SERVICE:
        return Status.HEALTHY, "reachable; it has no health service"
    if error.code in _REFUSED:
        return Status.HEALTHY, "reachable; it asks for credentials to say more"
    return Status.UNHEALTHY, error.message
