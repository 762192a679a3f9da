"""
The tables in that of a plugin that its policies are made of.
"""

from __future__ import annotations

from typing import Any

from remora.config import ConnectionConfig
from remora.policy import CircuitBreakerConfig, HealthCheckConfig, RateLimitConfig, RetryConfig

BLOCKS: dict[str, Any] = {
    "retry": RetryConfig,
    "circuit_breaker": CircuitBreakerConfig,
    "health_check": HealthCheckConfig,
    "rate_limit": RateLimitConfig,
    "connection": ConnectionConfig,
}
