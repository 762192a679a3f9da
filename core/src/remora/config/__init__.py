"""
The configuration: records, and how they are read from files.

An application needs `load_config` or `structure_config`, and the records whose names end in `Config`. `trace_config`,
`LoadedConfig`, `config_schema`, `effective_values`, `compare`, `read_credentials`, `without_credentials` and
`names_secret` are for tools such as the command line. All other names are what the parts of Remora share with one
another; they may change without notice.
"""

from typing import TYPE_CHECKING

from remora._lazy import lazily

if TYPE_CHECKING:
    from remora._hidden import names_secret, without_credentials
    from remora.config._access import load_access, read_access
    from remora.config._checks import missing_fallbacks
    from remora.config._coded import problems_of_config, problems_of_plugin, problems_of_record
    from remora.config._connection import ConnectionConfig
    from remora.config._content import read_content, read_credentials
    from remora.config._converter import make_config_converter
    from remora.config._diff import Diff, Kind, PluginDiff, compare, compare_plugins, is_same, value_at
    from remora.config._effective import effective_values
    from remora.config._effects import EFFECTS, RECIPE, TOP, Effect, effect_of
    from remora.config._formats import FORMATS
    from remora.config._interceptors import interceptors_for
    from remora.config._load import LoadedConfig, load_config, structure_config, trace_config
    from remora.config._manifests import Discovered, discover, folders, manifests
    from remora.config._order import dependants_of, problems_of_order, start_order
    from remora.config._phrasing import describe_errors
    from remora.config._places import Place, join_path, path_text
    from remora.config._problems import summary
    from remora.config._records import (
        OBJECT,
        TLS,
        TRANSPORT,
        AccessConfig,
        AuthConfig,
        Defaults,
        DiscoveryConfig,
        ExporterConfig,
        FallbackConfig,
        InterceptorConfig,
        ManagerConfig,
        MetricsConfig,
        PluginConfig,
        ResolverConfig,
    )
    from remora.config._schema import config_schema
    from remora.config._security import LimitsConfig, SecurityConfig
    from remora.config._sources import fragments
    from remora.policy import CircuitBreakerConfig, GradientConfig, HealthCheckConfig, RateLimitConfig, RetryConfig
    from remora.values import Count, Duration
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "remora.config._access": "load_access read_access",
            "remora.config._checks": "missing_fallbacks",
            "remora.config._coded": "problems_of_config problems_of_plugin problems_of_record",
            "remora.config._connection": "ConnectionConfig",
            "remora.config._content": "read_content read_credentials",
            "remora.config._converter": "make_config_converter",
            "remora.config._diff": "Diff Kind PluginDiff compare compare_plugins is_same value_at",
            "remora.config._effective": "effective_values",
            "remora.config._effects": "EFFECTS RECIPE TOP Effect effect_of",
            "remora.config._formats": "FORMATS",
            "remora._hidden": "names_secret without_credentials",
            "remora.config._interceptors": "interceptors_for",
            "remora.config._load": "LoadedConfig load_config structure_config trace_config",
            "remora.config._manifests": "Discovered discover folders manifests",
            "remora.config._order": "dependants_of problems_of_order start_order",
            "remora.config._phrasing": "describe_errors",
            "remora.config._places": "Place join_path path_text",
            "remora.config._problems": "summary",
            "remora.config._records": (
                "OBJECT TLS TRANSPORT AccessConfig AuthConfig Defaults DiscoveryConfig ExporterConfig "
                "FallbackConfig InterceptorConfig ManagerConfig MetricsConfig PluginConfig ResolverConfig"
            ),
            "remora.config._schema": "config_schema",
            "remora.config._security": "LimitsConfig SecurityConfig",
            "remora.config._sources": "fragments",
            "remora.policy": "CircuitBreakerConfig GradientConfig HealthCheckConfig RateLimitConfig RetryConfig",
            "remora.values": "Count Duration",
        },
    )

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
    "InterceptorConfig",
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
    "describe_errors",
    "discover",
    "effect_of",
    "effective_values",
    "folders",
    "fragments",
    "interceptors_for",
    "is_same",
    "join_path",
    "load_access",
    "load_config",
    "make_config_converter",
    "manifests",
    "missing_fallbacks",
    "names_secret",
    "path_text",
    "problems_of_config",
    "problems_of_order",
    "problems_of_plugin",
    "problems_of_record",
    "read_access",
    "read_content",
    "read_credentials",
    "start_order",
    "structure_config",
    "summary",
    "trace_config",
    "value_at",
    "without_credentials",
]
