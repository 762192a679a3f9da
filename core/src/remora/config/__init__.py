"""
The configuration: records, and how they are read from files.
"""

from remora.config._load import (
    FORMATS,
    load_access,
    load_config,
    problems_of_plugin,
    read_access,
    structure_config,
    summary,
)
from remora.config._records import (
    OBJECT,
    TLS,
    TRANSPORT,
    AccessConfig,
    AuthConfig,
    ConnectionConfig,
    Defaults,
    FallbackConfig,
    ManagerConfig,
    PluginConfig,
)
from remora.policy import CircuitBreakerConfig, GradientConfig, HealthCheckConfig, RateLimitConfig, RetryConfig
from remora.values import Count, Duration

__all__ = [
    "FORMATS",
    "OBJECT",
    "TLS",
    "TRANSPORT",
    "AccessConfig",
    "AuthConfig",
    "CircuitBreakerConfig",
    "ConnectionConfig",
    "Count",
    "Defaults",
    "Duration",
    "FallbackConfig",
    "GradientConfig",
    "HealthCheckConfig",
    "ManagerConfig",
    "PluginConfig",
    "RateLimitConfig",
    "RetryConfig",
    "load_access",
    "load_config",
    "problems_of_plugin",
    "read_access",
    "structure_config",
    "summary",
]
