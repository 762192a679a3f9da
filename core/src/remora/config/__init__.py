"""
The configuration: records, and how they are read from files.
"""

from remora.config._access import load_access, read_access
from remora.config._converter import make_config_converter
from remora.config._diff import Diff, Kind, PluginDiff, compare, compare_plugins, is_same, value_at
from remora.config._effective import effective_values, without_credentials
from remora.config._effects import EFFECTS, RECIPE, TOP, Effect, effect_of
from remora.config._formats import FORMATS
from remora.config._load import LoadedConfig, load_config, structure_config, trace_config
from remora.config._manifests import Discovered, discover, folders, manifests
from remora.config._order import dependants_of, problems_of_order, start_order
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
    DiscoveryConfig,
    ExporterConfig,
    FallbackConfig,
    ManagerConfig,
    MetricsConfig,
    PluginConfig,
    ResolverConfig,
)
from remora.config._schema import config_schema
from remora.config._security import LimitsConfig, SecurityConfig
from remora.config._sources import fragments
from remora.config._structured import problems_of_plugin
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
    "Discovered",
    "DiscoveryConfig",
    "Duration",
    "Effect",
    "ExporterConfig",
    "FallbackConfig",
    "GradientConfig",
    "HealthCheckConfig",
    "Kind",
    "LimitsConfig",
    "LoadedConfig",
    "ManagerConfig",
    "MetricsConfig",
    "Place",
    "PluginConfig",
    "PluginDiff",
    "RateLimitConfig",
    "ResolverConfig",
    "RetryConfig",
    "SecurityConfig",
    "compare",
    "compare_plugins",
    "config_schema",
    "dependants_of",
    "discover",
    "effect_of",
    "effective_values",
    "folders",
    "fragments",
    "is_same",
    "join_path",
    "load_access",
    "load_config",
    "make_config_converter",
    "manifests",
    "path_text",
    "problems_of_order",
    "problems_of_plugin",
    "read_access",
    "start_order",
    "structure_config",
    "summary",
    "trace_config",
    "value_at",
    "without_credentials",
]
