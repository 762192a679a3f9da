"""
The configuration: records, and how they are read from files.
"""

from remora.config._converter import make_config_converter
from remora.config._diff import Diff, Kind, PluginDiff, compare, compare_plugins, is_same, value_at
from remora.config._effects import EFFECTS, RECIPE, TOP, Effect, effect_of
from remora.config._load import (
    FORMATS,
    load_access,
    load_config,
    problems_of_plugin,
    read_access,
    structure_config,
    summary,
)
from remora.config._order import dependants_of, problems_of_order, start_order
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
from remora.policy import CircuitBreakerConfig, GradientConfig, HealthCheckConfig, RateLimitConfig, RetryConfig
from remora.values import Count, Duration

__all__ = [
    "EFFECTS",
    "FORMATS",
    "OBJECT",
    "RECIPE",
    "TLS",
    "TOP",
    "TRANSPORT",
    "AccessConfig",
    "AuthConfig",
    "CircuitBreakerConfig",
    "ConnectionConfig",
    "Count",
    "Defaults",
    "Diff",
    "Duration",
    "Effect",
    "FallbackConfig",
    "GradientConfig",
    "HealthCheckConfig",
    "Kind",
    "LimitsConfig",
    "ManagerConfig",
    "PluginConfig",
    "PluginDiff",
    "RateLimitConfig",
    "RetryConfig",
    "SecurityConfig",
    "compare",
    "compare_plugins",
    "dependants_of",
    "effect_of",
    "is_same",
    "load_access",
    "load_config",
    "make_config_converter",
    "problems_of_order",
    "problems_of_plugin",
    "read_access",
    "start_order",
    "structure_config",
    "summary",
    "value_at",
]
