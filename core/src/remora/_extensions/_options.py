"""
From the tables of a configuration to the options records of transports, auth methods, interceptors, exporters and
resolvers.
"""

from __future__ import annotations

import re
from dataclasses import MISSING, fields, is_dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from remora import config as records
from remora.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cattrs import Converter

    from remora.config import AccessConfig, AuthConfig, PluginConfig, SecurityConfig
    from remora.specs import AuthSpec, ExporterSpec, InterceptorSpec, ResolverSpec, TransportSpec

_ANY = re.compile("")
_SECRET = re.compile(r"(?i)auth|header|key|passw|secret|token|credential")
SECURITY = "security"
"""The table of the whole configuration that a transport may get."""


def build_options(
    spec: TransportSpec[Any],
    *,
    where: str,
    own: Mapping[str, object],
    config: PluginConfig | None = None,
    access: AccessConfig | None = None,
    security: SecurityConfig | None = None,
) -> Any:
    """
    The options record of a transport.

    A field named like a key of a plugin's table takes that key's value, and the field `security` the manager's
    `[security]` table; the others come from the `options` table.
    The certificates of an `auth` table go to the fields of the same name, if the transport has them.

    Args:
        spec: The transport.
        where: What the options belong to, for messages, as a path in the configuration.
        own: The `options` table.
        config: The plugin's table, if there is one.
        access: The `auth` table of a plugin that is served.
        security: The `[security]` table, if there is one.

    Raises:
        ConfigError: An option is unknown or has a wrong value.
    """
    names = _names(spec.options, f"transport {spec.name!r}", where)
    record = _structured(spec.options, own, f"{where}.options")
    auth = config.auth if config is not None else access
    record = replace(record, **_certificates(names, where, own, auth)) if auth is not None else record
    if config is None:
        return record
    if problems := _misplaced(spec, names, where, own):
        raise ConfigError("; ".join(problems), problems=problems)
    managed = {SECURITY: security or records.SecurityConfig()} if SECURITY in names else {}
    return replace(record, **{name: getattr(config, name) for name in names & _plugin_keys()}, **managed)


def build_auth_options(spec: AuthSpec[Any], *, where: str, config: AuthConfig) -> Any:
    """
    The options record of an auth method.

    Args:
        spec: The method.
        where: The path of the `auth` table, for messages.
        config: The `auth` table.

    Raises:
        ConfigError: An option is unknown or has a wrong value, or the table has a key that the method does not use.
    """
    names = _names(spec.options, f"auth method {spec.name!r}", where)
    given = [each for each in fields(records.AuthConfig) if each.name not in ("method", "options")]
    record = _structured(spec.options, config.options, f"{where}.options", secret=_ANY)
    problems = [f"{where}.options.{each.name}: belongs in {where}" for each in given if each.name in config.options]
    problems += [
        f"{where}.{each.name}: the auth method {spec.name!r} does not use it"
        for each in given
        if each.name not in names and each.metadata != records.TLS and _is_given(config, each.name)
    ]
    if problems:
        raise ConfigError("; ".join(problems), problems=problems)
    return replace(record, **{each.name: getattr(config, each.name) for each in given if each.name in names})


def build_exporter_options(spec: ExporterSpec[Any], *, where: str, own: Mapping[str, object]) -> Any:
    """
    The options record of an exporter.

    Args:
        spec: The exporter.
        where: The path of its table, for messages.
        own: The table, without `enabled`.

    Raises:
        ConfigError: An option is unknown or has a wrong value.
    """
    return structure_options(f"exporter {spec.name!r}", spec.options, where=where, own=own)


def build_interceptor_options(spec: InterceptorSpec, *, where: str, own: Mapping[str, object]) -> tuple[Any, ...]:
    """
    The options record of an interceptor, as the arguments that its builders get; none for one without options.

    Args:
        spec: The interceptor.
        where: The path of its table, for messages.
        own: The table, without `enabled`.

    Raises:
        ConfigError: An option is unknown or has a wrong value.
    """
    if spec.options is not None:
        return (structure_options(f"interceptor {spec.name!r}", spec.options, where=where, own=own),)
    if problems := [f"{where}.{key}: unknown key; the interceptor {spec.name!r} has only `enabled`" for key in own]:
        raise ConfigError("; ".join(problems), problems=problems)
    return ()


def structure_options(what: str, options: type[Any], *, where: str, own: Mapping[str, object]) -> Any:
    """
    An options record of any kind, from its own table only.

    Raises:
        ConfigError: An option is unknown or has a wrong value.
    """
    _names(options, what, where)
    return _structured(options, own, where, secret=_SECRET)


def build_resolver_options(spec: ResolverSpec[Any], *, config: PluginConfig) -> Any:
    """
    The options record of a resolver.

    Args:
        spec: The resolver.
        config: The table of the plugin that it is for.

    Raises:
        ConfigError: An option is unknown or has a wrong value.
    """
    where, own = f"plugins.{config.name}.resolver", config.resolver.options
    shared = _names(spec.options, f"resolver {spec.name!r}", where) & _plugin_keys()
    record = _structured(spec.options, own, where)
    if problems := [f"{where}.{key}: belongs in plugins.{config.name}" for key in own if key in shared]:
        raise ConfigError("; ".join(problems), problems=problems)
    return replace(record, **{name: getattr(config, name) for name in shared})


def _names(options: type[Any], what: str, where: str) -> set[str]:
    """
    The names of the options that a feature has.

    Raises:
        ConfigError: Its options are not a dataclass.
    """
    if not is_dataclass(options):
        raise ConfigError(f"{where}: the options of {what} are not a dataclass")
    return {each.name for each in fields(options)}


def _structured(
    options: type[Any], own: Mapping[str, object], where: str, *, secret: re.Pattern[str] | None = None
) -> Any:
    """
    A record from a table.

    Args:
        options: The class of the record.
        own: The table.
        where: The path of the table, for messages.
        secret: What a problem says whose value must not be shown; the value is in no traceback either.

    Raises:
        ConfigError: An option is unknown or has a wrong value.
    """
    try:
        return options() if not own and _has_defaults(options) else _converter().structure(dict(own), options)
    except Exception as error:  # cattrs raises groups of whatever it meets
        problems = records.describe_errors(error, where)
        if secret is None:
            raise ConfigError("; ".join(problems), problems=problems) from error
        problems = [line.partition(", got ")[0] if secret.search(line) else line for line in problems]
        raise ConfigError("; ".join(problems), problems=problems) from None


def _has_defaults(options: type[Any]) -> bool:
    return all(each.default is not MISSING or each.default_factory is not MISSING for each in fields(options))


# What only a host or an error message needs is made on first use, so that a served plugin starts without it.


@cache
def _converter() -> Converter:
    return records.make_config_converter()


@cache
def _plugin_keys() -> frozenset[str]:
    return frozenset(each.name for each in fields(records.PluginConfig))


@cache
def _tls_keys() -> tuple[str, ...]:
    return tuple(each.name for each in fields(records.AuthConfig) if each.metadata == records.TLS)


@cache
def _no_auth() -> AuthConfig:
    return records.AuthConfig()


def _is_given(config: AuthConfig, name: str) -> bool:
    return bool(getattr(config, name) != getattr(_no_auth(), name))


def _certificates(
    names: set[str], where: str, own: Mapping[str, object], auth: AuthConfig | AccessConfig
) -> dict[str, str]:
    """
    The certificates of an `auth` table, for the transport's fields of the same names.
    """
    values = {key: str(getattr(auth, key, "")) for key in _tls_keys() if key in names}
    said = {key: value for key, value in values.items() if value}
    if twice := [key for key in said if key in own and own[key] != said[key]]:
        raise ConfigError(f"{where}.options.{twice[0]}: {where}.auth.{twice[0]} says something else")
    return said


def _misplaced(spec: TransportSpec[Any], names: set[str], where: str, own: Mapping[str, object]) -> list[str]:
    if SECURITY in own and SECURITY in names:
        return [f"{where}.options.security: belongs in a table of its own, [security]"]
    return [
        f"{where}.options.{key}: belongs in the plugin's own table, as {where}.{key}"
        if key != "name"
        else f"{where}.options.name: unknown key; the transport {spec.name!r} is told the plugin's name"
        for key in own
        if key in names & _plugin_keys()
    ]


def used_keys(spec: TransportSpec[Any]) -> frozenset[str]:
    """
    The keys of a plugin's table that a transport uses.
    """
    return _plugin_keys().intersection(each.name for each in fields(spec.options))


def given_keys(config: PluginConfig) -> list[str]:
    """
    The keys of a plugin's table that only a transport could use, and that are set.
    """
    plain = records.PluginConfig(name=config.name)
    keys = [each.name for each in fields(records.PluginConfig) if each.metadata == records.TRANSPORT]
    return [key for key in keys if getattr(config, key) != getattr(plain, key)]
