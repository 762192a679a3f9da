"""
The configuration: records, and how they are read from files.
"""

from remora.config._load import FORMATS, load_config, problems_of_plugin, structure_config, summary
from remora.config._records import TRANSPORT, ConnectionConfig, Defaults, ManagerConfig, PluginConfig
from remora.values import Count, Duration

__all__ = [
    "FORMATS",
    "TRANSPORT",
    "ConnectionConfig",
    "Count",
    "Defaults",
    "Duration",
    "ManagerConfig",
    "PluginConfig",
    "load_config",
    "problems_of_plugin",
    "structure_config",
    "summary",
]
