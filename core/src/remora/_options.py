"""
From a plugin's table to the options records of its transport and its auth method.
"""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from remora._structure import describe_errors
from remora.config import (
    TLS,
    TRANSPORT,
    AccessConfig,
    AuthConfig,
    PluginConfig,
    SecurityConfig,
    make_config_converter,
)
from remora.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remora.specs import AuthSpec, ExporterSpec, ResolverSpec, TransportSpec

_CONVERTER = make_config_converter()
_PLUGIN_KEYS = frozenset(each.name for each in fields(PluginConfig))
_TLS_KEYS = tuple(each.name for each in fields(AuthConfig) if each.metadata == TLS)
_NO_AUTH = AuthConfig()
_SECRET = re.compile(r"(?i)auth|header|key|passw|secret|token|credential")
SECURITY = "security"
"""The key of the whole configuration that a transport may be told."""


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
    What an `auth` table says about certificates counts where the transport has a field of that name.

    Args:
        spec: The transport.
        where: What the options belong to, for messages: a path in the configuration.
        own: The `options` table.
        config: The plugin's table, where there is one.
        access: The `auth` table of a plugin that is served.
        security: The `[security]` table, where there is one.

    Raises:
        ConfigError: An option is unknown or has a wrong value.
    """
    if not is_dataclass(spec.options):
        raise ConfigError(f"{where}: the options of transport {spec.name!r} are no dataclass")
    names = {each.name for each in fields(spec.options)}
    try:
        record = _CONVERTER.structure(dict(own), spec.options)
    except Exception as error:  # cattrs raises groups of whatever it meets
        problems = describe_errors(error, root=f"{where}.options")
        raise ConfigError("; ".join(problems), problems=problems) from error
    auth = config.auth if config is not None else access
    record = replace(record, **_certificates(names, where, own, auth)) if auth is not None else record
    if config is None:
        return record
    if problems := _misplaced(spec, names, where, own):
        raise ConfigError("; ".join(problems), problems=problems)
    managed = {SECURITY: security or SecurityConfig()} if SECURITY in names else {}
    return replace(record, **{name: getattr(config, name) for name in names & _PLUGIN_KEYS}, **managed)


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
    if not is_dataclass(spec.options):
        raise ConfigError(f"{where}: the options of auth method {spec.name!r} are no dataclass")
    names = {each.name for each in fields(spec.options)}
    given = [each for each in fields(AuthConfig) if each.name not in ("method", "options")]
    try:
        record = _CONVERTER.structure(dict(config.options), spec.options)
    except Exception as error:  # cattrs raises groups of whatever it meets
        found = describe_errors(error, root=f"{where}.options")
        problems = [line.partition(", got ")[0] for line in found]  # any value here may be a secret
        raise ConfigError("; ".join(problems), problems=problems) from None
    problems = [f"{where}.options.{each.name}: belongs into {where}" for each in given if each.name in config.options]
    problems += [
        f"{where}.{each.name}: the auth method {spec.name!r} has no use for it"
        for each in given
        if each.name not in names and each.metadata != TLS and _is_given(config, each.name)
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
    if not is_dataclass(spec.options):
        raise ConfigError(f"{where}: the options of exporter {spec.name!r} are no dataclass")
    try:
        return _CONVERTER.structure(dict(own), spec.options)
    except Exception as error:  # cattrs raises groups of whatever it meets
        found = describe_errors(error, root=where)
        problems = [line.partition(", got ")[0] if _SECRET.search(line) else line for line in found]
        raise ConfigError("; ".join(problems), problems=problems) from None


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
    if not is_dataclass(spec.options):
        raise ConfigError(f"{where}: the options of resolver {spec.name!r} are no dataclass")
    shared = {each.name for each in fields(spec.options)} & _PLUGIN_KEYS
    try:
        record = _CONVERTER.structure(dict(own), spec.options)
    except Exception as error:  # cattrs raises groups of whatever it meets
        problems = describe_errors(error, root=where)
        raise ConfigError("; ".join(problems), problems=problems) from error
    if problems := [f"{where}.{key}: belongs into plugins.{config.name}" for key in own if key in shared]:
        raise ConfigError("; ".join(problems), problems=problems)
    return replace(record, **{name: getattr(config, name) for name in shared})


def _is_given(config: AuthConfig, name: str) -> bool:
    return bool(getattr(config, name) != getattr(_NO_AUTH, name))


def _certificates(
    names: set[str], where: str, own: Mapping[str, object], auth: AuthConfig | AccessConfig
) -> dict[str, str]:
    """
    What an `auth` table says about certificates, for the transport's fields of the same names.
    """
    values = {key: str(getattr(auth, key, "")) for key in _TLS_KEYS if key in names}
    said = {key: value for key, value in values.items() if value}
    if twice := [key for key in said if key in own and own[key] != said[key]]:
        raise ConfigError(f"{where}.options.{twice[0]}: {where}.auth.{twice[0]} says something else")
    return said


def _misplaced(spec: TransportSpec[Any], names: set[str], where: str, own: Mapping[str, object]) -> list[str]:
    if SECURITY in own and SECURITY in names:
        return [f"{where}.options.security: belongs into a table of its own, [security]"]
    return [
        f"{where}.options.{key}: belongs into the plugin's own table, as {where}.{key}"
        if key != "name"
        else f"{where}.options.name: unknown key; the transport {spec.name!r} is told the plugin's name"
        for key in own
        if key in names & _PLUGIN_KEYS
    ]


def used_keys(spec: TransportSpec[Any]) -> frozenset[str]:
    """
    The keys of a plugin's table that a transport looks at.
    """
    return _PLUGIN_KEYS.intersection(each.name for each in fields(spec.options))


def given_keys(config: PluginConfig) -> list[str]:
    """
    The keys of a plugin's table that only a transport could use, and that say something.
    """
    plain = PluginConfig(name=config.name)
    keys = [each.name for each in fields(PluginConfig) if each.metadata == TRANSPORT]
    return [key for key in keys if getattr(config, key) != getattr(plain, key)]
