"""
The configuration: records, and how they are read from files.
"""

from remora.config._access import load_access, read_access
from remora.config._converter import make_config_converter
from remora.config._formats import FORMATS
from remora.config._load import LoadedConfig, load_config, structure_config, trace_config
from remora.config._places import Place
from remora.config._problems import summary
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
from remora.config._security import LimitsConfig, SecurityConfig
from remora.config._structured import problems_of_plugin
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
    "LimitsConfig",
    "LoadedConfig",
    "ManagerConfig",
    "Place",
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
    "trace_config",
]
