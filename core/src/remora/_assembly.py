"""
From a plugin's table to everything that its calls need: transports, instances, the pipeline.

What lives here: putting together. What must not: running any of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio

from remora._caller import Caller
from remora._options import build_options
from remora._pipeline import Pipeline
from remora._route import Instance, Route
from remora.errors import ConfigError
from remora.policy import RestartConfig
from remora.types import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from remora._catalog import Catalog, Feature, Origin
    from remora.config import PluginConfig
    from remora.protocols import Interceptor, Transport
    from remora.specs import TransportSpec

LAUNCHED = RestartConfig()
"""A process that keeps dying is left alone after a while."""

CONNECTED = RestartConfig(maximum=5.0, limit=None)
"""A server that is away may come back at any time."""


@dataclass(frozen=True, slots=True)
class Part:
    """
    An instance, and how its owner opens it.
    """

    instance: Instance
    transport: Transport
    origin: Origin
    restart: RestartConfig


@dataclass(frozen=True, slots=True)
class Plugged:
    """
    A plugin in its place: its state, the way to call it, and its parts.
    """

    route: Route
    caller: Caller
    parts: Sequence[Part]


def check_plugins(catalog: Catalog, configs: Iterable[PluginConfig]) -> None:
    """
    Check what only the installed extensions can tell, for all plugins at once.

    Raises:
        NotInstalled: One table names a feature that is not there.
        ConfigError: An option is wrong, or there is more than one problem; each names its plugin.
    """
    failed: list[tuple[PluginConfig, ConfigError]] = []
    for config in configs:
        try:
            check_plugin(catalog, config)
        except ConfigError as error:
            failed.append((config, error))
    if len(failed) == 1:
        raise _named(*failed[0])
    if failed:
        problems = [_located(config, line) for config, error in failed for line in error.problems]
        summary = "\n".join([f"{len(problems)} problems", *(f"  {line}" for line in problems)])
        raise ConfigError(summary, problems=problems)


def _named(config: PluginConfig, error: ConfigError) -> ConfigError:
    if _located(config, error.message) != error.message:
        error.plugin = config.name
    return error


def _located(config: PluginConfig, problem: str) -> str:
    where = f"plugins.{config.name}"
    return problem if problem.startswith(where) else f"{where}: {problem}"


def check_plugin(catalog: Catalog, config: PluginConfig) -> None:
    """
    Check what only the installed extensions can tell about a plugin's table.

    Raises:
        NotInstalled: It names a feature that is not there.
        ConfigError: An option is wrong.
    """
    for _, feature in _endpoints(catalog, config):
        _options(feature.spec, config)
    if config.codec:
        catalog.codec(config.codec)


def assemble(catalog: Catalog, config: PluginConfig) -> Plugged:
    """
    A plugin, ready for its owners to open it.

    Raises:
        ConfigError: As `check_plugin`.
    """
    check_plugin(catalog, config)
    transports: dict[str, Transport] = {}
    parts = []
    for endpoint, feature in _endpoints(catalog, config):
        spec = feature.spec
        if spec.name not in transports:
            transports[spec.name] = spec.build(_options(spec, config))
        restart = LAUNCHED if spec.launches else CONNECTED
        for name in _names(endpoint, config.instances):
            instance = Instance(name, endpoint, native_deadline=spec.native_deadline)
            parts.append(Part(instance, transports[spec.name], feature.origin, restart))
    route = Route(config, [part.instance for part in parts], clock=anyio.current_time)
    pipeline = Pipeline(route, _interceptors(catalog, config.name))
    return Plugged(route, Caller(route, pipeline, catalog), parts)


def _endpoints(catalog: Catalog, config: PluginConfig) -> list[tuple[Endpoint, Feature[TransportSpec[Any]]]]:
    endpoints = list(config.endpoints) or [Endpoint(config.endpoint or f"{config.transport or 'exec'}:")]
    return [(endpoint, catalog.transport(endpoint.scheme, config.transport)) for endpoint in endpoints]


def _options(spec: TransportSpec[Any], config: PluginConfig) -> Any:
    return build_options(spec, where=f"plugins.{config.name}", own=config.options, config=config)


def _names(endpoint: Endpoint, instances: int) -> list[str]:
    return [endpoint.url] if instances == 1 else [f"{endpoint.url}#{number}" for number in range(1, instances + 1)]


def _interceptors(catalog: Catalog, plugin: str) -> list[Interceptor]:
    features = [claims[0] for claims in catalog.interceptors.values()]
    features.sort(key=lambda feature: (feature.spec.order, feature.spec.name))
    built = [feature.spec.build(plugin) for feature in features]
    return [each for each in built if each is not None]
