"""
Where the instances of a plugin are wanted, as its table says.

What lives here: endpoints, and which of two places need the same instance. What must not: instances.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from remora._extensions._options import SECURITY, used_keys
from remora._frozen import dataclass
from remora.config import EFFECTS, RECIPE, Effect, is_same, value_at, without_credentials
from remora.types import Endpoint

if TYPE_CHECKING:
    from remora._extensions._catalog import Catalog
    from remora._extensions._feature import Feature
    from remora.config import PluginConfig, SecurityConfig
    from remora.specs import TransportSpec


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where an instance is wanted: at an endpoint, as the first, second and so on there.

    Attributes:
        endpoint: The endpoint.
        number: The place among the instances at that endpoint, from 1.
        name: The name of the instance.
        feature: The transport that reaches it.
        recipe: Everything that is built into the instance; when it differs, the instance must be built anew.
    """

    endpoint: Endpoint
    number: int
    name: str
    feature: Feature[TransportSpec[Any]]
    recipe: tuple[object, ...]

    def is_taken_by(self, other: Place) -> bool:
        """
        Whether an instance at the other place is the one that is wanted here.
        """
        is_there = (self.endpoint.url, self.number) == (other.endpoint.url, other.number)
        return is_there and is_same(self.recipe, other.recipe)


def places_of(catalog: Catalog, config: PluginConfig, security: SecurityConfig) -> list[Place]:
    """
    The places at which a plugin should have instances.

    Raises:
        NotInstalled: One needs a transport that is not installed.
    """
    endpoints = endpoints_of(config)
    totals = Counter(each.url for each in endpoints)
    seen = Counter[str]()
    places = []
    for endpoint in endpoints:
        feature = catalog.transport(endpoint.scheme, config.transport)
        recipe = _recipe(feature.spec, config, security)
        for _ in range(config.instances):
            seen[endpoint.url] += 1
            number = seen[endpoint.url]
            is_alone = totals[endpoint.url] * config.instances == 1
            url = without_credentials(endpoint.url)  # everybody sees what it is called
            name = url if is_alone else f"{url}#{number}"
            places.append(Place(endpoint, number, name, feature, recipe))
    return places


def _recipe(spec: TransportSpec[Any], config: PluginConfig, security: SecurityConfig) -> tuple[object, ...]:
    """
    Everything that is built into an instance: the keys that the table of effects names, and those the transport uses.
    """
    looked_at = sorted(key for key in used_keys(spec) if EFFECTS.get(key, Effect.RENEWED) is not Effect.RENEWED)
    is_confined = any(each.name == SECURITY for each in fields(spec.options))
    keys = (*RECIPE, *looked_at, *(["connection.max_connections"] if spec.limits_calls else []))
    return (spec.name, *(value_at(config, key) for key in keys), security if is_confined else None)


def endpoints_of(config: PluginConfig) -> list[Endpoint]:
    """
    The endpoints of a plugin; empty when only its resolver knows them.
    """
    if config.resolver.method and not (config.endpoint or config.executable):
        return list(config.endpoints)
    url = config.endpoint or f"{config.transport or 'exec'}:"
    return list(config.endpoints) or [Endpoint(url, priority=config.priority)]


def has_resolver(config: PluginConfig) -> bool:
    """
    Whether a resolver finds the endpoints of a plugin.
    """
    return config.enabled and bool(config.resolver.method)
