"""
Whether a configuration can be used with what is installed.

What lives here: checks, before anything is built. What must not: building it (see `_fleet._assembly`).
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from remora._extensions._catalog import located
from remora._extensions._faults import told
from remora._extensions._interceptors import TABLE, check_interceptor_table, errors_of_interceptors
from remora._extensions._options import build_resolver_options, given_keys, used_keys
from remora._fleet._assembly import NO_AUTH, auth_method_of, is_secure, options_of
from remora._fleet._places import endpoints_of
from remora._telemetry._exporting import errors_of_exporters
from remora.config import (
    is_same,
    missing_fallbacks,
    problems_of_order,
    problems_of_plugin,
    summary,
    without_credentials,
)
from remora.errors import ConfigError, ExtensionError, NotInstalled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remora._extensions._catalog import Catalog
    from remora._extensions._feature import Feature
    from remora.config import ManagerConfig, PluginConfig, SecurityConfig
    from remora.specs import TransportSpec
    from remora.types import Endpoint

_log = logging.getLogger(__name__)


def check_config(catalog: Catalog, config: ManagerConfig, in_force: ManagerConfig | None = None) -> None:
    """
    Check a whole configuration.

    Args:
        catalog: What is installed.
        config: The configuration.
        in_force: One that has been checked; the plugins that are the same in both are not checked again.

    Raises:
        NotInstalled: It names features that are not installed.
        ConfigError: It is wrong; every problem is named, with the path of its key.
    """
    wanted = list(config.plugins.values())
    if in_force is not None and is_same(in_force.security, config.security):
        wanted = [each for each in wanted if not is_same(each, in_force.plugins.get(each.name))]
    errors = [error for each in wanted for error in _errors_of(catalog, each, config.security)]
    problems = problems_of_order(config.plugins)
    if not config.discovery.directories:  # else a manifest may bring what is missing
        problems += missing_fallbacks({each.name: each for each in wanted}, config.plugins)
    if problems:
        errors.append(ConfigError(summary(problems), problems=problems))
    errors += errors_of_interceptors(catalog, config.interceptors)
    _raise_together(errors + errors_of_exporters(catalog, config))
    for each in wanted:
        _mention_unused(catalog, each)


def check_plugin(catalog: Catalog, config: PluginConfig, *, security: SecurityConfig) -> None:
    """
    Check the table of a plugin, including what only the installed extensions can check, unless it is switched off.

    Raises:
        NotInstalled: It names features that are not installed.
        ConfigError: It is wrong; every problem is named, with the path of its key.
    """
    _raise_together(_errors_of(catalog, config, security))
    _mention_unused(catalog, config)


def check_endpoints(catalog: Catalog, config: PluginConfig, *, security: SecurityConfig) -> None:
    """
    Check the table of a plugin whose resolver has reported its endpoints.

    Raises:
        NotInstalled: An endpoint needs a transport that is not installed.
        ConfigError: An endpoint cannot be used.
    """
    for error in _errors_of(catalog, config, security):
        raise error


def _raise_together(errors: list[ConfigError]) -> None:
    if len(errors) == 1:
        raise errors[0]
    if errors:
        problems = [line for error in errors for line in error.problems]
        kinds = {type(error) for error in errors}
        raise (kinds.pop() if len(kinds) == 1 else ConfigError)(summary(problems), problems=problems)


def _errors_of(catalog: Catalog, config: PluginConfig, security: SecurityConfig) -> list[ConfigError]:
    if problems := problems_of_plugin(config):
        return [ConfigError(summary(problems), problems=problems)]
    errors: dict[str, ConfigError] = {}
    for key, check in _checks(catalog, config, security) if config.enabled else ():
        try:
            check()
        except (NotInstalled, ExtensionError) as error:  # of an installation, which does not know who needs it
            errors.setdefault(error.message, located(error, f"plugins.{config.name}.{key}"))
        except ConfigError as error:
            errors[error.message] = error
    return list(errors.values())


def _checks(
    catalog: Catalog, config: PluginConfig, security: SecurityConfig
) -> Iterator[tuple[str, Callable[[], object]]]:
    """
    Each check, with the key that names the feature which is checked.
    """
    if config.auth != NO_AUTH:
        yield "auth.method", partial(auth_method_of, catalog, config)
    for endpoint in endpoints_of(config):
        yield _key_of_transport(config), partial(_check_endpoint, catalog, config, endpoint, security)
    if config.resolver.method:
        yield "resolver.method", partial(_check_resolver, catalog, config)
    if config.codec:
        yield "codec", partial(catalog.codec, config.codec)
    if config.balancer:
        yield "balancer", partial(catalog.balancer, config.balancer)
    for name, table in config.interceptors.items():
        key = f"{TABLE}.{name}"
        yield key, partial(check_interceptor_table, catalog, name, table, f"plugins.{config.name}.{key}")


def _key_of_transport(config: PluginConfig) -> str:
    return "transport" if config.transport else _key_of_address(config)


def _key_of_address(config: PluginConfig) -> str:
    return "endpoints" if config.endpoints else "endpoint"


def _check_endpoint(catalog: Catalog, config: PluginConfig, endpoint: Endpoint, security: SecurityConfig) -> None:
    feature = catalog.transport(endpoint.scheme, config.transport)
    spec = feature.spec
    options_of(spec, config, security)
    _check_address(feature, config, endpoint)
    if config.auth.method and catalog.auth_method(config.auth.method).spec.needs_tls and not is_secure(spec, endpoint):
        problem = f"the auth method {config.auth.method!r} needs an endpoint that encrypts, not {endpoint.scheme}:"
        raise ConfigError(f"plugins.{config.name}.auth: {problem}")


def _check_address(feature: Feature[TransportSpec[Any]], config: PluginConfig, endpoint: Endpoint) -> None:
    if feature.spec.check is None:
        return
    try:
        feature.spec.check(endpoint)
    except ConfigError as error:
        raise ConfigError(f"plugins.{config.name}.{_key_of_address(config)}: {error.message}") from error
    except Exception as error:  # an extension may raise anything
        address = without_credentials(endpoint.url)
        raise ExtensionError(f"{feature.named('transport')} cannot check {address!r}: {told(error)}") from error


def _check_resolver(catalog: Catalog, config: PluginConfig) -> None:
    feature = catalog.resolver(config.resolver.method)
    options = build_resolver_options(feature.spec, config=config)
    feature.build("resolver", options, where=f"plugins.{config.name}.resolver")


def _mention_unused(catalog: Catalog, config: PluginConfig) -> None:
    """
    Log the keys that neither a plugin's transports nor its balancer uses, and credentials that would go nowhere.

    They are not an error, so that changing the endpoint of a process to that of a server needs no other change.
    """
    if not config.enabled:  # its transport may not be installed
        return
    if config.hash_header and not (config.balancer and catalog.balancer(config.balancer).spec.keyed):
        how = f"the balancer {config.balancer!r}" if config.balancer else "taking turns"
        _log.warning("plugins.%s.hash_header: has no effect; %s does not look at it", config.name, how)
    specs = [catalog.transport(each.scheme, config.transport).spec for each in endpoints_of(config)]
    if not specs:
        return
    used = frozenset().union(*map(used_keys, specs))
    if config.auth.method not in ("", "none") and config.protocol == "oneshot" and "protocol" in used:
        why = 'a program with protocol = "oneshot" gets no headers, and so no credentials'
        _log.warning("plugins.%s.auth: has no effect; %s", config.name, why)
    if unused := [key for key in given_keys(config) if key not in used]:
        names = " and ".join(sorted({spec.name for spec in specs}))
        _log.warning("plugins.%s: the transport %s does not use %s", config.name, names, ", ".join(unused))
