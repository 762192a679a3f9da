"""
The configuration: records, and how they are read from files.
"""

from remora.config._records import ConnectionConfig, Defaults, Duration, ManagerConfig, PluginConfig

__all__ = ["ConnectionConfig", "Defaults", "Duration", "ManagerConfig", "PluginConfig"]
