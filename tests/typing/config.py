"""
Reading a configuration, as hosts and tools do it. Never run; mypy and pyright check that types are kept.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_type

from remora import ConfigError, DiscoveryConfig, Manager, ManagerConfig, PluginConfig, ReloadOptions, ResolverConfig
from remora.config import (
    LoadedConfig,
    Place,
    config_schema,
    discover,
    effective_values,
    load_config,
    read_credentials,
    structure_config,
    trace_config,
)
from remora.extensions import transports
from remora.types import (
    ConfigRejected,
    EndpointsChanged,
    Event,
    ManifestRejected,
    PluginsDiscovered,
    ProgramReadmitted,
    ProgramRevoked,
    ResolverFailed,
)
from remora.watching import FileWatch, content_of, folders_of, read_content


def read(path: Path) -> None:
    """
    From a file or a directory, with the environment or without.
    """
    assert_type(load_config(path), ManagerConfig)
    assert_type(load_config("conf.d", {}), ManagerConfig)
    assert_type(structure_config({"plugins": {}}), ManagerConfig)


def tell(path: str) -> None:
    """
    Where values come from, and what they are.
    """
    loaded = trace_config(path)
    assert_type(loaded, LoadedConfig)
    assert_type(loaded.config, ManagerConfig)
    place = loaded.origin("plugins.pay.endpoint")
    assert_type(place, Place | None)
    if place is not None:
        assert_type(place.line, int | None)
    assert_type(effective_values(loaded.config), dict[str, Any])
    assert_type(config_schema(transports()), dict[str, Any])
    error = ConfigError("plugins.pay: wrong")
    assert_type(error.problems, tuple[str, ...])
    loaded.locate(error)


async def follow(path: Path) -> None:
    """
    A manager that reloads when its files change.
    """
    async with Manager.from_file(path, watch=True, reload_options=ReloadOptions(strategy="rolling")) as manager:
        assert_type(manager, Manager)


def observe(event: Event) -> None:
    """
    A change that cannot be used.
    """
    if isinstance(event, ConfigRejected):
        assert_type(event.problems, tuple[str, ...])


def find(config: ManagerConfig) -> ManagerConfig:
    """
    Plugins that manifests add.
    """
    assert_type(config.discovery, DiscoveryConfig)
    found = discover(config)
    for file, plugin in found.plugins.items():
        assert_type(file, str)
        assert_type(plugin, PluginConfig)
        assert_type(plugin.resolver, ResolverConfig)
    return found.added_to(config)


def changed(event: Event) -> tuple[str, ...]:
    """
    What resolvers and manifests have changed.
    """
    if isinstance(event, EndpointsChanged):
        return (event.plugin, *event.added, *event.removed)
    if isinstance(event, PluginsDiscovered):
        return (*event.added, *event.changed, *event.removed)
    if isinstance(event, ManifestRejected):
        return (event.source, *event.problems)
    if isinstance(event, ProgramRevoked):
        return (event.plugin, event.instance, event.program, event.cause)
    if isinstance(event, ProgramReadmitted):
        return (event.plugin, event.instance, event.program)
    return (event.cause,) if isinstance(event, ResolverFailed) else ()


async def watch(path: str) -> None:
    """
    A file, for extensions.
    """

    async def tell() -> None:
        print(path)

    known = content_of(path)
    content: bytes = read_content(path, most=1024)
    token: bytes = read_credentials(path, most=1024)
    print(content, token)
    await FileWatch(content=lambda: content_of(path), folders=lambda: folders_of(path), changed=tell, known=known).run()
