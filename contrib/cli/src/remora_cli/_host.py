"""
Managers for a configuration that was read from a file, whose name belongs in what is wrong with it.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from remora import DiscoveryConfig, Manager
from remora.config import trace_config
from remora.errors import ConfigError, ExtensionError, PluginNotFound
from remora_cli._logs import located

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remora.config import LoadedConfig, ManagerConfig, PluginConfig


BUILT_IN = "built-in default"
"""What stands for the place of a value that nothing has set."""


def make_manager(loaded: LoadedConfig) -> Manager:
    """
    The manager.

    Args:
        loaded: What was read from a file or a directory, or a part of it.

    Raises:
        ExtensionError: The installation is wrong.
        ConfigError: The file is wrong; the message names it.
    """
    with checking(loaded):
        return Manager(loaded.config)


@contextmanager
def checking(loaded: LoadedConfig) -> Iterator[None]:
    """
    A context that puts the file, and the line, into what is found to be wrong with a configuration, be it an error or
    only a warning.
    """
    try:
        with located(loaded.origin):
            yield
    except ExtensionError:
        raise
    except ConfigError as error:
        loaded.locate(error)
        raise


def load_whole(path: str) -> LoadedConfig:
    """
    The configuration at a path, with the plugins that manifests add to it now.

    Raises:
        ConfigError: It is wrong. What is wrong with manifests is not told.
    """
    return trace_config(path).with_manifests()[0]


def manager_for_one_call(path: str, plugin: str) -> Manager:
    """
    A manager with one plugin of the configuration at a path, and with those that may answer in its place.

    Raises:
        ConfigError: The configuration is wrong, or has no plugin of that name.
    """
    loaded = load_whole(path)
    return make_manager(replace(loaded, config=_for_one_call(loaded.config, plugin)))


def _for_one_call(config: ManagerConfig, name: str) -> ManagerConfig:
    """
    The plugin with those that may answer in its place, which start only when they are asked to, and without those that
    it requires. There are no exporters: the port of metrics belongs to the host, which may be running.
    """
    plugins = {name: replace(find_plugin(config, name), requires=())}
    fallback = plugins[name].fallback
    while fallback is not None and fallback.plugin and fallback.plugin not in plugins:
        one = replace(find_plugin(config, fallback.plugin), requires=(), start="lazy")
        plugins[one.name], fallback = one, one.fallback
    return replace(config, plugins=plugins, discovery=DiscoveryConfig(), exporters={}, metrics_port=None)


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
