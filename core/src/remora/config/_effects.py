"""
How a change of each key takes effect while a manager runs.

What lives here: the one table. What must not: the comparison of configurations (see `_diff`), and doing it.
"""

from __future__ import annotations

from enum import StrEnum

from remora.errors import ConfigError


class Effect(StrEnum):
    """
    The smallest thing that makes a change of a key true.
    """

    NOTHING = "nothing changes"
    TUNED = "in place"
    SWITCHED = "starts or stops the plugin"
    RENEWED = "new instances"


_NOTHING, _TUNED, _SWITCHED, _RENEWED = Effect

TOP: dict[str, Effect] = {
    "log_level": _TUNED,
    "discovery": _TUNED,
    "security": _RENEWED,
    "metrics_port": _TUNED,
    "metrics": _TUNED,
    "exporters": _TUNED,
    "interceptors": _TUNED,
}
"""The keys at the top of the file; `[security]` only concerns transports that start programs."""

EFFECTS: dict[str, Effect] = {
    "endpoint": _RENEWED,
    "endpoints": _TUNED,
    "endpoints.url": _RENEWED,
    "endpoints.weight": _TUNED,
    "endpoints.priority": _TUNED,
    "endpoints.labels": _NOTHING,
    "resolver": _TUNED,
    "instances": _RENEWED,
    "transport": _RENEWED,
    "service": _TUNED,
    "method": _TUNED,
    "codec": _TUNED,
    "protocol": _RENEWED,
    "executable": _RENEWED,
    "args": _RENEWED,
    "env": _RENEWED,
    "work_dir": _RENEWED,
    "enabled": _SWITCHED,
    "start": _TUNED,
    "priority": _TUNED,
    "balancer": _TUNED,
    "hash_header": _TUNED,
    "fallback": _TUNED,
    "labels": _NOTHING,
    "annotations": _NOTHING,
    "version": _RENEWED,
    "requires": _TUNED,
    "interceptors": _TUNED,
    "options": _RENEWED,
    "auth": _RENEWED,
    "connection.max_connections": _TUNED,
    "connection.max_pending": _TUNED,
    "connection.adaptive_limit": _TUNED,
    "connection.max_idle_connections": _RENEWED,
    "connection.idle_timeout": _RENEWED,
    "connection.connection_timeout": _RENEWED,
    "connection.request_timeout": _TUNED,
    "connection.keep_alive": _RENEWED,
    "connection.disable_compression": _RENEWED,
    "retry.max_retries": _TUNED,
    "retry.initial_interval": _TUNED,
    "retry.max_interval": _TUNED,
    "retry.multiplier": _TUNED,
    "retry.random_jitter": _TUNED,
    "retry.idempotent_methods": _TUNED,
    "circuit_breaker.enabled": _TUNED,
    "circuit_breaker.failure_threshold": _TUNED,
    "circuit_breaker.recovery_timeout": _TUNED,
    "circuit_breaker.min_request_threshold": _TUNED,
    "circuit_breaker.success_threshold": _TUNED,
    "circuit_breaker.window": _TUNED,
    "circuit_breaker.failure_rate": _TUNED,
    "circuit_breaker.slow_call_duration": _TUNED,
    "circuit_breaker.slow_call_rate": _TUNED,
    "health_check.enabled": _TUNED,
    "health_check.interval": _TUNED,
    "health_check.timeout": _TUNED,
    "health_check.failure_limit": _TUNED,
    "health_check.endpoint": _RENEWED,
    "rate_limit.enabled": _TUNED,
    "rate_limit.requests_per_second": _TUNED,
    "rate_limit.burst_size": _TUNED,
    "rate_limit.mode": _TUNED,
}
"""
The keys of a plugin's table. A block that has one row takes effect as a whole. An endpoint or a number of instances
that changes renews only what is not there yet: the instances at the other endpoints are kept.
"""

RECIPE = tuple(
    key
    for key, effect in EFFECTS.items()
    if effect is Effect.RENEWED and key not in ("endpoint", "endpoints.url", "instances", "transport")
)
"""The keys of a plugin's table that are built into each of its instances, beside the place where it is."""


def effect_of(key: str) -> Effect:
    """
    How a change of a key of a plugin's table takes effect.

    Args:
        key: Its path, such as "retry.max_retries".

    Raises:
        ConfigError: There is no such key.
    """
    row = key
    while row:
        if row in EFFECTS:
            return EFFECTS[row]
        row = row.rpartition(".")[0]
    raise ConfigError(f"{key!r} is not a key of a plugin's table")
