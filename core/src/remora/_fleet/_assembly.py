"""
From a plugin's table to everything that its calls need: transports, instances, the pipeline.

What lives here: building these and connecting them. What must not: running any of them.
"""

from __future__ import annotations

import logging
import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from remora._calls._authenticate import Authenticator
from remora._calls._balancing import Balancing
from remora._calls._fallback import Fallback
from remora._calls._instance import Instance
from remora._extensions._options import build_auth_options, build_options
from remora._fleet._places import endpoints_of, places_of
from remora._frozen import dataclass
from remora.config import AuthConfig, is_same
from remora.errors import ConfigError
from remora.policy import Dice, RestartConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from remora._calls._fallback import Ask
    from remora._calls._refreshing import Start
    from remora._extensions._catalog import Catalog
    from remora._extensions._conduct import Conduct
    from remora._extensions._feature import Feature, Origin
    from remora._fleet._places import Place
    from remora.config import InterceptorConfig, PluginConfig, SecurityConfig
    from remora.protocols import AuthMethod, Balancer, Transport
    from remora.specs import TransportSpec
    from remora.types import Endpoint, Event

_log = logging.getLogger(__name__)

_OF_BALANCERS = ("pick", "started", "finished")
_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
NO_AUTH = AuthConfig()

LAUNCHED = RestartConfig()
"""For processes: one that keeps dying is given up after a while."""

CONNECTED = RestartConfig(maximum=5.0, limit=None)
"""For servers: one that is away may come back at any time, so it is never given up."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """
    An instance, and how its owner opens it.
    """

    instance: Instance
    transport: Transport
    origin: Origin
    restart: RestartConfig
    place: Place


@dataclass(frozen=True, slots=True)
class Surroundings:
    """
    What a manager provides to its plugins.

    Attributes:
        publish: Takes the events of their instances.
        ask: Calls another plugin by its name, in the place of the one with a table.
        conduct: The record of how extensions behave.
        clock: The event loop's clock, in seconds.
        rng: The random source.
        start: Starts a task that ends with the manager.
        security: What may be started, and how it is confined.
        interceptors: The tables of interceptors that hold for all plugins.
    """

    publish: Callable[[Event], None]
    ask: Ask
    conduct: Conduct
    clock: Callable[[], float]
    rng: random.Random
    start: Start
    security: SecurityConfig
    interceptors: Mapping[str, InterceptorConfig]

    def chance(self) -> Dice:
        """
        A random source for one part; its numbers do not depend on what other parts draw in between.
        """
        return Dice(self.rng.getrandbits(64))


def make_parts(catalog: Catalog, config: PluginConfig, lent: Surroundings, there: Sequence[Part] = ()) -> list[Part]:
    """
    The parts of a plugin, ready for their owners to open them.

    Args:
        catalog: The installed features.
        config: The plugin's table.
        lent: What the manager provides to it.
        there: The parts that it already has; those that need no change are kept.

    Raises:
        ConfigError: As `check_plugin`.
        ExtensionError: An extension failed to build a feature that it registered.
    """
    bench = _Bench(catalog, config, lent, there)
    return [bench.part(place) for place in places_of(catalog, config, lent.security)]


class _Bench:
    """
    Builds the parts of one plugin, which share what they can.
    """

    def __init__(self, catalog: Catalog, config: PluginConfig, lent: Surroundings, there: Sequence[Part]) -> None:
        self._catalog = catalog
        self._config = config
        self._lent = lent
        self._there = {(part.place.endpoint.url, part.place.number): part for part in there}
        self._transports: list[tuple[tuple[object, ...], Transport]] = [
            (part.place.recipe, part.transport) for part in there
        ]
        self._authenticators = [part.instance.authenticate for part in there if self._has_same_auth(part)]

    def part(self, place: Place) -> Part:
        """
        The part for a place: the existing one, or a new one.
        """
        known = self._there.get((place.endpoint.url, place.number))
        if known is not None and place.is_taken_by(known.place):
            return replace(known, place=place)
        spec, origin = place.feature.spec, place.feature.origin
        instance = Instance(
            place.name,
            place.endpoint,
            self._config,
            native_deadline=spec.native_deadline,
            clock=self._lent.clock,
            rng=self._lent.chance(),
            origin=str(origin),
            authenticate=self._authenticator(),
        )
        return Part(instance, self._transport(place), origin, LAUNCHED if spec.launches else CONNECTED, place)

    def _transport(self, place: Place) -> Transport:
        for recipe, transport in self._transports:
            if is_same(recipe, place.recipe):
                return transport
        made = _build(place.feature, self._config, self._lent.security)
        self._transports.append((place.recipe, made))
        return made

    def _authenticator(self) -> Authenticator | None:
        if not self._authenticators:
            made = _authenticator_of(self._catalog, self._config, self._lent)
            self._authenticators.append(made)
            if made is not None:
                _warn_of_listeners(self._catalog, self._config)
        return self._authenticators[0]

    def _has_same_auth(self, part: Part) -> bool:
        return is_same(part.instance.config.auth, self._config.auth)


def transports(
    catalog: Catalog, config: PluginConfig, *, security: SecurityConfig
) -> Iterator[tuple[Endpoint, str, Transport]]:
    """
    The endpoints of a plugin, each with the name of its transport and the transport, for use outside of a manager.

    Raises:
        ConfigError: As `check_plugin`.
    """
    for endpoint in endpoints_of(config):
        feature = catalog.transport(endpoint.scheme, config.transport)
        yield endpoint, feature.spec.name, _build(feature, config, security)


def _build(feature: Feature[TransportSpec[Any]], config: PluginConfig, security: SecurityConfig) -> Transport:
    options = options_of(feature.spec, config, security)
    made: Transport = feature.build("transport", options, where=f"plugins.{config.name}.options")
    return made


def options_of(spec: TransportSpec[Any], config: PluginConfig, security: SecurityConfig) -> Any:
    """
    The options that a plugin's table gives to its transport.

    Raises:
        ConfigError: An option is unknown or has a wrong value.
    """
    where = f"plugins.{config.name}"
    return build_options(spec, where=where, own=config.options, config=config, security=security)


def is_secure(spec: TransportSpec[Any], endpoint: Endpoint) -> bool:
    """
    Whether what is sent to an endpoint is encrypted.
    """
    return endpoint.scheme in spec.secure_schemes


def fallback_of(config: PluginConfig, lent: Surroundings) -> Fallback | None:
    """
    The fallback of a plugin; None when it has none.
    """
    if config.fallback is None:
        return None
    return Fallback(config, config.fallback, clock=lent.clock, publish=lent.publish, ask=lent.ask)


def _authenticator_of(catalog: Catalog, config: PluginConfig, lent: Surroundings) -> Authenticator | None:
    method, culprit = auth_method_of(catalog, config)
    if method is None:
        return None
    return Authenticator(method, culprit, conduct=lent.conduct.about(plugin=config.name), start=lent.start)


def auth_method_of(catalog: Catalog, config: PluginConfig) -> tuple[AuthMethod | None, str]:
    """
    What adds credentials to the calls of a plugin, and whose code that is; None when there are none to add.

    Raises:
        ConfigError: The `auth` table is wrong.
        ExtensionError: The method cannot be built.
    """
    where = f"plugins.{config.name}.auth"
    if not config.auth.method:
        if replace(config.auth, cert_file="", key_file="", ca_file="", server_name="") != NO_AUTH:
            raise ConfigError(f"{where}.method: missing")
        return None, ""
    feature = catalog.auth_method(config.auth.method)
    options = build_auth_options(feature.spec, where=where, config=config.auth)
    return feature.build("auth method", options, where=where), feature.named("auth method")


def _warn_of_listeners(catalog: Catalog, config: PluginConfig) -> None:
    """
    Log a warning when credentials would be sent over a network without encryption.
    """
    for endpoint in endpoints_of(config):
        spec = catalog.transport(endpoint.scheme, config.transport).spec
        host = urlsplit(f"//{endpoint.address}").hostname or "localhost"
        if spec.secure_schemes and not is_secure(spec, endpoint) and host not in _LOCAL:
            _log.warning("plugin %r: credentials are sent to %s without encryption", config.name, host)


def balancing_of(catalog: Catalog, config: PluginConfig, lent: Surroundings) -> Balancing | None:
    """
    The balancer that chooses among the instances; None when they take turns.

    Raises:
        ExtensionError: It cannot be built.
    """
    if not config.balancer:
        return None
    feature = catalog.balancer(config.balancer)
    chance = random.Random(lent.rng.getrandbits(64))
    balancer: Balancer = feature.build_with(_OF_BALANCERS, "balancer", lent.clock, chance)
    conduct = lent.conduct.about(plugin=config.name)
    return Balancing(balancer, feature.named("balancer"), conduct, learns=feature.spec.learns)
