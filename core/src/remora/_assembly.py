"""
From a plugin's table to everything that its calls need: transports, instances, the pipeline.

What lives here: putting together. What must not: running any of it.
"""

from __future__ import annotations

import logging
import random
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from remora._authenticate import Authenticator
from remora._balancing import Balancing
from remora._caller import Caller
from remora._fallback import Fallback
from remora._instance import Instance
from remora._options import build_auth_options, build_options, given_keys, used_keys
from remora._pipeline import Pipeline
from remora._route import Route
from remora.config import AuthConfig, problems_of_plugin, summary
from remora.errors import ConfigError, ExtensionError, NotInstalled
from remora.policy import RestartConfig
from remora.types import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from remora._catalog import Catalog, Origin
    from remora._conduct import Conduct
    from remora._fallback import Ask
    from remora.config import PluginConfig, SecurityConfig
    from remora.protocols import Balancer, Interceptor, Transport
    from remora.specs import TransportSpec
    from remora.types import Event

_log = logging.getLogger(__name__)

_LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
_NO_AUTH = AuthConfig()

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


def check_plugins(catalog: Catalog, configs: Iterable[PluginConfig], *, security: SecurityConfig) -> None:
    """
    Check the tables of plugins, also for what only the installed extensions can tell.

    Raises:
        NotInstalled: They name features that are not there.
        ConfigError: They are wrong; every problem is named, with the path of its key.
    """
    wanted = [config for config in configs if config.enabled]
    errors = [error for config in wanted for error in _errors_of(catalog, config, security)]
    if len(errors) == 1:
        raise errors[0]
    if errors:
        problems = [line for error in errors for line in error.problems]
        kinds = {type(error) for error in errors}
        raise (kinds.pop() if len(kinds) == 1 else ConfigError)(summary(problems), problems=problems)
    for config in wanted:
        _mention_unused(catalog, config)


def _errors_of(catalog: Catalog, config: PluginConfig, security: SecurityConfig) -> list[ConfigError]:
    if problems := problems_of_plugin(config):
        return [ConfigError(summary(problems), problems=problems)]
    checks: list[Callable[[], object]] = [
        partial(_check_endpoint, catalog, config, endpoint, security) for endpoint in _endpoints(config)
    ]
    if config.codec:
        checks.append(partial(catalog.codec, config.codec))
    if config.balancer:
        checks.append(partial(catalog.balancer, config.balancer))
    if config.auth != _NO_AUTH:
        checks.append(partial(_authenticator, catalog, config))
    errors: dict[str, ConfigError] = {}
    for check in checks:
        try:
            check()
        except (NotInstalled, ExtensionError) as error:  # of an installation, which does not know who needs it
            located = type(error)(f"plugins.{config.name}: {error.message}")
            located.__cause__ = error
            errors[located.message] = located
        except ConfigError as error:
            errors[error.message] = error
    return list(errors.values())


def _check_endpoint(catalog: Catalog, config: PluginConfig, endpoint: Endpoint, security: SecurityConfig) -> None:
    spec = catalog.transport(endpoint.scheme, config.transport).spec
    _options(spec, config, security)
    if config.auth.method and catalog.auth_method(config.auth.method).spec.needs_tls and not _is_secure(spec, endpoint):
        problem = f"the auth method {config.auth.method!r} needs an endpoint that encrypts, not {endpoint.scheme}:"
        raise ConfigError(f"plugins.{config.name}.auth: {problem}")


def _is_secure(spec: TransportSpec[Any], endpoint: Endpoint) -> bool:
    return endpoint.scheme in spec.secure_schemes


def _mention_unused(catalog: Catalog, config: PluginConfig) -> None:
    """
    Log the keys that none of a plugin's transports looks at.

    They are no error: whoever changes the endpoint of a process to that of a server need not touch another line.
    """
    specs = [catalog.transport(each.scheme, config.transport).spec for each in _endpoints(config)]
    used = frozenset().union(*map(used_keys, specs))
    if unused := [key for key in given_keys(config) if key not in used]:
        names = " and ".join(sorted({spec.name for spec in specs}))
        _log.warning("plugins.%s: %s mean nothing to the transport %s", config.name, ", ".join(unused), names)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """
    What a manager lends to its plugins.

    Attributes:
        publish: Takes the events of their instances.
        ask: Has another plugin, given by name, answer a call.
        conduct: The record of how extensions behave.
        clock: The event loop's clock, in seconds.
        rng: The source of chance.
        security: What may be started, and how it is confined.
    """

    publish: Callable[[Event], None]
    ask: Ask
    conduct: Conduct
    clock: Callable[[], float]
    rng: random.Random
    security: SecurityConfig

    def own_rng(self) -> random.Random:
        """
        A source of chance for one part: what it draws does not depend on what other parts draw in between.
        """
        return random.Random(self.rng.getrandbits(64))


def assemble(catalog: Catalog, config: PluginConfig, lent: Surroundings) -> Plugged:
    """
    A plugin, ready for its owners to open it.

    Args:
        catalog: The features at hand.
        config: The plugin's table.
        lent: What the manager lends to it.

    Raises:
        ConfigError: As `check_plugins`.
        ExtensionError: An extension cannot build what it has promised.
    """
    transports: dict[str, Transport] = {}
    parts = []
    for endpoint in _endpoints(config):
        feature = catalog.transport(endpoint.scheme, config.transport)
        spec = feature.spec
        if spec.name not in transports:
            transports[spec.name] = feature.build("transport", _options(spec, config, lent.security))
        restart = LAUNCHED if spec.launches else CONNECTED
        for name in _names(endpoint, config.instances):
            instance = Instance(
                name,
                endpoint,
                config,
                native_deadline=spec.native_deadline,
                clock=lent.clock,
                rng=lent.own_rng(),
                origin=str(feature.origin),
            )
            parts.append(Part(instance, transports[spec.name], feature.origin, restart))
    instances = [part.instance for part in parts]
    route = Route(
        config,
        instances,
        balancing=_balancing(catalog, config, lent),
        clock=lent.clock,
        publish=lent.publish,
        conduct=lent.conduct,
        authenticate=_authenticator(catalog, config, lent.conduct),
    )
    fallback = _fallback(config, lent)
    if route.authenticate is not None:
        _warn_of_listeners(catalog, config)
    pipeline = Pipeline(route, _interceptors(catalog, config.name), fallback=fallback, rng=lent.own_rng())
    return Plugged(route, Caller(route, pipeline, catalog), parts)


def transports(
    catalog: Catalog, config: PluginConfig, *, security: SecurityConfig
) -> Iterator[tuple[Endpoint, str, Transport]]:
    """
    The endpoints of a plugin, each with the name of its transport and the transport, for those who only ask it.

    Raises:
        ConfigError: As `check_plugins`.
    """
    for endpoint in _endpoints(config):
        feature = catalog.transport(endpoint.scheme, config.transport)
        yield endpoint, feature.spec.name, feature.build("transport", _options(feature.spec, config, security))


def _endpoints(config: PluginConfig) -> list[Endpoint]:
    url = config.endpoint or f"{config.transport or 'exec'}:"
    return list(config.endpoints) or [Endpoint(url, priority=config.priority)]


def _options(spec: TransportSpec[Any], config: PluginConfig, security: SecurityConfig) -> Any:
    where = f"plugins.{config.name}"
    return build_options(spec, where=where, own=config.options, config=config, security=security)


def _names(endpoint: Endpoint, instances: int) -> list[str]:
    return [endpoint.url] if instances == 1 else [f"{endpoint.url}#{number}" for number in range(1, instances + 1)]


def _fallback(config: PluginConfig, lent: Surroundings) -> Fallback | None:
    if config.fallback is None:
        return None
    return Fallback(config.name, config.fallback, clock=lent.clock, publish=lent.publish, ask=lent.ask)


def _authenticator(catalog: Catalog, config: PluginConfig, conduct: Conduct | None = None) -> Authenticator | None:
    where = f"plugins.{config.name}.auth"
    if not config.auth.method:
        if replace(config.auth, cert_file="", key_file="", ca_file="", server_name="") != _NO_AUTH:
            raise ConfigError(f"{where}.method: missing")
        return None
    feature = catalog.auth_method(config.auth.method)
    options = build_auth_options(feature.spec, where=where, config=config.auth)
    try:
        method = feature.build("auth method", options)
    except ExtensionError:
        raise
    except ConfigError as error:
        raise ConfigError(f"{where}: {error.message}") from error
    return None if method is None else Authenticator(method, feature.named("auth method"), conduct)


def _warn_of_listeners(catalog: Catalog, config: PluginConfig) -> None:
    """
    Say so when credentials are about to cross a network that anybody may listen to.
    """
    for endpoint in _endpoints(config):
        spec = catalog.transport(endpoint.scheme, config.transport).spec
        host = urlsplit(f"//{endpoint.address}").hostname or "localhost"
        if spec.secure_schemes and not _is_secure(spec, endpoint) and host not in _LOCAL:
            _log.warning("plugin %r: credentials are sent to %s without encryption", config.name, host)


def _balancing(catalog: Catalog, config: PluginConfig, lent: Surroundings) -> Balancing | None:
    if not config.balancer:
        return None
    feature = catalog.balancer(config.balancer)
    balancer: Balancer = feature.build("balancer", lent.clock, lent.own_rng())
    return Balancing(balancer, feature.named("balancer"), lent.conduct, learns=feature.spec.learns)


def _interceptors(catalog: Catalog, plugin: str) -> list[tuple[str, Interceptor]]:
    """
    The interceptors of a plugin, the outermost first, each with what to call it in messages.
    """
    features = [claims[0] for claims in catalog.interceptors.values()]
    features.sort(key=lambda feature: (feature.spec.order, feature.spec.name))
    built = [(feature.named("interceptor"), feature.build("interceptor", plugin)) for feature in features]
    return [(culprit, each) for culprit, each in built if each is not None]
