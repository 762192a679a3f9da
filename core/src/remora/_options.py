"""
From a plugin's table to a transport's options record.
"""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from remora._structure import describe_errors
from remora.config import TRANSPORT, PluginConfig, SecurityConfig, make_config_converter
from remora.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remora.specs import TransportSpec

_CONVERTER = make_config_converter()
_PLUGIN_KEYS = frozenset(each.name for each in fields(PluginConfig))
SECURITY = "security"
"""The key of the whole configuration that a transport may be told."""


def build_options(
    spec: TransportSpec[Any],
    *,
    where: str,
    own: Mapping[str, object],
    config: PluginConfig | None = None,
    security: SecurityConfig | None = None,
) -> Any:
    """
    The options record of a transport.

    A field named like a key of a plugin's table takes that key's value, and the field `security` the manager's
    `[security]` table; the others come from the `options` table.

    Args:
        spec: The transport.
        where: What the options belong to, for messages: a path in the configuration.
        own: The `options` table.
        config: The plugin's table, where there is one.
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
    if config is None:
        return record
    if problems := _misplaced(spec, names, where, own):
        raise ConfigError("; ".join(problems), problems=problems)
    managed = {SECURITY: security or SecurityConfig()} if SECURITY in names else {}
    return replace(record, **{name: getattr(config, name) for name in names & _PLUGIN_KEYS}, **managed)


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
