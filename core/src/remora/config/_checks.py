"""
What is wrong with plugins' tables and cannot be said by the type of one key.

What lives here: rules about names and about more than one key. What must not: structuring (see `_structured`), what
needs installed extensions.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from remora._requirement import problem_of
from remora.config._problems import meant

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from remora.config._records import PluginConfig

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_WORD = re.compile(r"[A-Za-z0-9_.$-]*")
NAME_RULE = "a plugin's name is made of letters, digits, '.', '_' and '-'"


def is_name(name: object) -> bool:
    """
    Whether a plugin may have that name.
    """
    return isinstance(name, str) and bool(_NAME.fullmatch(name))


def bad_name(name: object, table: object) -> str | None:
    """
    The problem with the name of a plugin's table, or with a name inside it.
    """
    if isinstance(table, dict) and "name" in table:
        return f"plugins.{name}.name: unknown key; the name is the one in [plugins.{name}]"
    return None if is_name(name) else f"plugins.{name}: {NAME_RULE}"


def check(plugin: PluginConfig) -> list[str]:
    """
    What is wrong with a plugin and cannot be said by the type of one key.
    """
    where = f"plugins.{plugin.name}"
    problems = [] if is_name(plugin.name) else [f"{where}: {NAME_RULE}"]
    problems += _bad_places(plugin, where)
    if not (plugin.auth.custom is None or callable(getattr(plugin.auth.custom, "flow", None))):
        problems.append(f"{where}.auth.custom: expected, in code, an object with a method `flow`")
    if not (plugin.auth.token_source is None or callable(plugin.auth.token_source)):
        problems.append(f"{where}.auth.token_source: expected, in code, a callable")
    if problem := problem_of(plugin.version):
        problems.append(f"{where}.version: {problem}")
    return problems + _bad_addresses(plugin, where) + _bad_words(plugin, where)


def has_address(plugin: PluginConfig) -> bool:
    """
    Whether it can be told where a plugin is.
    """
    return bool(plugin.endpoint or plugin.endpoints or plugin.executable or plugin.resolver.method)


def _bad_places(plugin: PluginConfig, where: str) -> Iterator[str]:
    if plugin.endpoint and plugin.endpoints:
        yield f"{where}: has both endpoint and endpoints; one of them is enough"
    if not has_address(plugin):
        yield f"{where}: has no endpoint"
    is_resolved = bool(plugin.resolver.method)  # then they may be what it has reported, which is used as it is
    if plugin.endpoints and not is_resolved and not any(each.weight for each in plugin.endpoints):
        yield f"{where}.endpoints: all have the weight 0; to switch the plugin off, set enabled = false"
    if plugin.resolver.options and not is_resolved:
        yield f"{where}.resolver.method: missing"


def _bad_addresses(plugin: PluginConfig, where: str) -> list[str]:
    addresses = [("endpoint", plugin.endpoint)] if plugin.endpoint else []
    addresses += [(f"endpoints[{index}].url", each.url) for index, each in enumerate(plugin.endpoints)]
    return [
        f"{where}.{key}: {url!r} has no scheme such as http:, grpc:, unix: or exec:"
        for key, url in addresses
        if not _SCHEME.match(url)
    ]


def _bad_words(plugin: PluginConfig, where: str) -> list[str]:
    return [
        f"{where}.{key}: {word!r} has a character that no wire can carry"
        for key, word in (("service", plugin.service), ("method", plugin.method))
        if not _WORD.fullmatch(word)
    ]


def missing_fallbacks(plugins: Mapping[str, PluginConfig], names: Collection[object]) -> list[str]:
    """
    A problem for each plugin that falls back on one that is not there.

    Args:
        plugins: The plugins.
        names: The names of all plugins, also of those that are wrong themselves.
    """
    lines = []
    for name, plugin in plugins.items():
        target = getattr(plugin.fallback, "plugin", "")
        if target and (target == name or target not in names):
            others = [each for each in names if isinstance(each, str) and each != name]
            known = meant(target, others) or f"; there are: {', '.join(others) or 'none'}"
            expected = f"expected another plugin that is configured, got {target!r}{known}"
            lines.append(f"plugins.{name}.fallback.plugin: {expected}")
    return lines
