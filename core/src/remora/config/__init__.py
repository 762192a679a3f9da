"""
The configuration: records, and how they are read from files.
"""

from remora.config._access import load_access, read_access
from remora.config._converter import make_config_converter
from remora.config._effective import effective_values, without_credentials
from remora.config._formats import FORMATS
from remora.config._load import LoadedConfig, load_config, structure_config, trace_config
from remora.config._places import Place, path_text
from remora.config._places import join as join_path
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
from remora.config._schema import config_schema
from remora.config._security import LimitsConfig, SecurityConfig
from remora.config._sources import fragments
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
    "config_schema",
    "effective_values",
    "fragments",
    "join_path",
    "load_access",
    "load_config",
    "make_config_converter",
    "path_text",
    "problems_of_plugin",
    "read_access",
    "structure_config",
    "summary",
    "trace_config",
    "without_credentials",
]
