"""
The configuration: records, and how they are read from files.
"""

from remora.config._converter import make_config_converter
from remora.config._load import FORMATS, load_config, problems_of_plugin, structure_config, summary
from remora.config._records import TRANSPORT, ConnectionConfig, Defaults, FallbackConfig, ManagerConfig, PluginConfig
from remora.policy import CircuitBreakerConfig, GradientConfig, HealthCheckConfig, RateLimitConfig, RetryConfig
from remora.values import Count, Duration

__all__ = [
    "FORMATS",
    "TRANSPORT",
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
    "load_config",
    "make_config_converter",
    "problems_of_plugin",
    "structure_config",
    "summary",
]
