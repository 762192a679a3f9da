"""
The configuration: records, and how they are read from files.
"""

from remora.config._converter import make_config_converter
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
    ExporterConfig,
    FallbackConfig,
    ManagerConfig,
    MetricsConfig,
    PluginConfig,
)
from remora.config._security import LimitsConfig, SecurityConfig
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
    "ExporterConfig",
    "FallbackConfig",
    "GradientConfig",
    "HealthCheckConfig",
    "LimitsConfig",
    "ManagerConfig",
    "MetricsConfig",
    "PluginConfig",
    "RateLimitConfig",
    "RetryConfig",
    "SecurityConfig",
    "load_access",
    "load_config",
    "make_config_converter",
    "problems_of_plugin",
    "read_access",
    "structure_config",
    "summary",
]
