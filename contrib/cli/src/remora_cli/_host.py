"""
A manager for a configuration that was read from a file, whose name belongs into what is wrong with it; parts of one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from remora import Manager
from remora.errors import ConfigError, ExtensionError, PluginNotFound

if TYPE_CHECKING:
    from remora.config import LoadedConfig, ManagerConfig, PluginConfig


def make_manager(loaded: LoadedConfig) -> Manager:
    """
    The manager.

    Args:
        loaded: What was read from a file or a directory, or a part of it.

    Raises:
        ExtensionError: The installation is wrong.
        ConfigError: The file is wrong; the message names it.
    """
    try:
        return Manager(loaded.config)
    except ExtensionError:
        raise
    except ConfigError as error:
        loaded.locate(error)
        raise


def only_plugin(config: ManagerConfig, name: str) -> ManagerConfig:
    """
    A configuration with nothing but one plugin.

    Raises:
        PluginNotFound: It has none of that name.
    """
    return replace(config, plugins={name: find_plugin(config, name)})


def find_plugin(config: ManagerConfig, name: str) -> PluginConfig:
    """
    The plugin of a name.

    Raises:
        PluginNotFound: There is none; the message names those that there are.
    """
    if name not in config.plugins:
        known = ", ".join(sorted(config.plugins)) or "none"
        raise PluginNotFound(f"no plugin named {name!r} is configured; there are: {known}")
    return config.plugins[name]
