"""
What is known about how well a plugin does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from remora._frozen import dataclass


class Status(StrEnum):
    """
    What is known about the health of a plugin or of one instance.
    """

    UNKNOWN = "unknown"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthStatus:
    """
    The result of asking for health.

    Attributes:
        status: The verdict.
        message: The reason, in a sentence.
        last_check: When it was checked, in seconds since the epoch; None before the first check.
        response_time: Seconds that the answer took; None when nobody was asked.
        metadata: Further facts, as the plugin reports them.
    """

    status: Status = Status.UNKNOWN
    message: str = ""
    last_check: float | None = None
    response_time: float | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
