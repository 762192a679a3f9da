"""
Events as lines of the log: what operators should hear of at once, what is good to know, what only a debugger reads.

What lives here: levels and words. What must not: when something is an event (see `types`), who else is told.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any

from remora._log_fields import of_event
from remora.types import (
    BreakerChanged,
    DrainEnded,
    DrainLifted,
    HealthChanged,
    InstanceFailed,
    InstanceLost,
    InstanceReady,
    RequirementLost,
    RequirementMet,
    Status,
)
from remora.wire import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from remora.types import Event

_log = logging.getLogger("remora._telemetry._events")

_TRIED = ", which is only tried (what is in use is not affected),"


def log_event(event: Event) -> None:
    """
    Write an event into the log: in words if operators wait for it, else as it is, at level debug.
    """
    say = _SAYINGS.get(type(event))
    level, words = (logging.DEBUG, "") if say is None else say(event)
    if _log.isEnabledFor(level):
        _log.log(level, "%s", printable(words, most=1000) or event, extra=of_event(event))


def _ready(event: InstanceReady) -> tuple[int, str]:
    return logging.INFO, f"{_whose(event)} is ready after {event.start_time:.2f} s (cause: {event.cause})"


def _lost(event: InstanceLost) -> tuple[int, str]:
    what = "is lost" if event.was_ready else "could not be started"
    return logging.WARNING, f"{_whose(event)} {what}: {event.cause} ({_next_start(event.retry_in)})"


def _failed(event: InstanceFailed) -> tuple[int, str]:
    level = logging.WARNING if event.is_tried else logging.ERROR
    return level, f"{_whose(event)} has failed: {event.cause} ({_next_start(event.retry_in)})"


def _health(event: HealthChanged) -> tuple[int, str]:
    return _HEALTH.get(event.after, logging.DEBUG), f"{_whose(event)} is {event.after}: {event.cause}"


def _breaker(event: BreakerChanged) -> tuple[int, str]:
    words = f"{_whose(event)}: its circuit breaker is {event.after}: {event.cause}"
    return _BREAKER.get(event.after, logging.DEBUG), words


def _alone(event: RequirementLost) -> tuple[int, str]:
    return logging.WARNING, f"plugin {event.plugin!r} goes on without {event.requirement!r}: {event.cause}"


def _together(event: RequirementMet) -> tuple[int, str]:
    return logging.INFO, f"plugin {event.plugin!r} has {event.requirement!r} again"


def _drained(event: DrainEnded) -> tuple[int, str]:
    if event.remaining:
        what = f"{event.remaining} of {event.total} calls had not ended when the drain was over"
        return logging.WARNING, f"{_whose(event)}: {what}: {event.cause}"
    return logging.DEBUG if event.instance else logging.INFO, f"{_whose(event)} is drained: {event.cause}"


def _lifted(event: DrainLifted) -> tuple[int, str]:
    return logging.INFO, f"plugin {event.plugin!r} takes calls again: {event.cause}"


def _whose(event: Any) -> str:
    where = f" at {event.instance}" if event.instance else ""
    return f"plugin {event.plugin!r}{where}{_TRIED if getattr(event, 'is_tried', False) else ''}"


def _next_start(seconds: float) -> str:
    return "it is not started again" if math.isinf(seconds) else f"next start in {seconds:.1f} s"


_HEALTH = {
    Status.HEALTHY: logging.INFO,
    Status.DEGRADED: logging.INFO,
    Status.UNHEALTHY: logging.WARNING,
    Status.OFFLINE: logging.WARNING,
}
_BREAKER = {"open": logging.WARNING, "closed": logging.INFO}
_SAYINGS: Mapping[type[Event], Callable[[Any], tuple[int, str]]] = {
    InstanceReady: _ready,
    InstanceLost: _lost,
    InstanceFailed: _failed,
    HealthChanged: _health,
    BreakerChanged: _breaker,
    RequirementLost: _alone,
    RequirementMet: _together,
    DrainEnded: _drained,
    DrainLifted: _lifted,
}
