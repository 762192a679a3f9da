"""
From tables to records, and the checks that no type of a single key can make.

What lives here: structuring, and rules about more than one key. What must not: files, variables, defaults.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from remora._requirement import problem_of
from remora._structure import describe_errors
from remora.config._converter import make_config_converter
from remora.config._problems import add, meant
from remora.config._records import OBJECT, PluginConfig, ResolverConfig

_CONVERTER = make_config_converter()
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_WORD = re.compile(r"[A-Za-z0-9_.$-]*")
_SECRET = re.compile(r"(?i)\benv\b|auth|header|key|passw|secret|token|credential")
_KEY = re.compile(r"^([^:\s]+): ([a-z_]+): ")
_FIRST_KEY = re.compile(r"\.([A-Za-z_]+)")
_UNNAMED = {(PluginConfig, "name")}
_NAMES = "a plugin's name is made of letters, digits, '.', '_' and '-'"


def structured(record: type[Any], data: object, path: str, problems: list[str]) -> Any:
    """
    A record from a table; None when the table has problems, which are added.
    """
    try:
        return _CONVERTER.structure(data, record)
    except RecursionError:
        raise
    except Exception as error:  # cattrs raises groups of whatever it meets
        add((_discreet(_with_key(line)) for line in describe_errors(error, root=path, unnamed=_UNNAMED)), problems)
        return None


def plugin_in(table: Any, path: str, problems: list[str]) -> PluginConfig | None:
    """
    The plugin of a table, without the keys that have problems, which are added: the other keys are looked at all the
    same. None when it cannot be told where the plugin is.
    """
    found: list[str] = []
    plugin: PluginConfig | None = structured(PluginConfig, table, path, found)
    add(found, problems)
    wrong = {key[1] for line in found if (key := _FIRST_KEY.match(line, len(path)))}
    if wrong:
        plugin = structured(PluginConfig, {key: table[key] for key in table if key not in wrong}, path, [])
    return plugin if plugin is not None and (not wrong or _has_address(plugin)) else None


def is_name(name: object) -> bool:
    """
    Whether a plugin may have that name.
    """
    return isinstance(name, str) and bool(_NAME.fullmatch(name))


def may_be_secret(path: str) -> bool:
    """
    Whether the value at a path is better not shown.
    """
    return bool(_SECRET.search(path))


def problems_of_plugin(plugin: PluginConfig) -> list[str]:
    """
    What is wrong with a plugin's table that was made in code.
    """
    problems: list[str] = []
    if structured(PluginConfig, as_table(plugin), f"plugins.{plugin.name}", problems) is None:
        return problems
    return check(plugin)


def check(plugin: PluginConfig) -> list[str]:
    """
    What is wrong with a plugin and cannot be said by the type of one key.
    """
    where = f"plugins.{plugin.name}"
    problems = [] if is_name(plugin.name) else [f"{where}: {_NAMES}"]
    if plugin.endpoint and plugin.endpoints:
        problems.append(f"{where}: has both endpoint and endpoints; one of them is enough")
    if not _has_address(plugin):
        problems.append(f"{where}: has no endpoint")
    if plugin.resolver.options and not plugin.resolver.method:
        problems.append(f"{where}.resolver.method: missing")
    if not (plugin.auth.custom is None or callable(getattr(plugin.auth.custom, "flow", None))):
        problems.append(f"{where}.auth.custom: expected, in code, an object with a method `flow`")
    if not (plugin.auth.token_source is None or callable(plugin.auth.token_source)):
        problems.append(f"{where}.auth.token_source: expected, in code, a callable")
    if problem := problem_of(plugin.version):
        problems.append(f"{where}.version: {problem}")
    return problems + _bad_addresses(plugin, where) + _bad_words(plugin, where)


def _has_address(plugin: PluginConfig) -> bool:
    return bool(plugin.endpoint or plugin.endpoints or plugin.executable or plugin.resolver.method)


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


def bad_name(name: object, table: object) -> str | None:
    """
    The problem with the name of a plugin's table, or with a name inside it.
    """
    if isinstance(table, dict) and "name" in table:
        return f"plugins.{name}.name: unknown key; the name is the one in [plugins.{name}]"
    return None if is_name(name) else f"plugins.{name}: {_NAMES}"


def missing_fallbacks(tables: Mapping[Any, Any]) -> list[str]:
    """
    A problem for each plugin that falls back on one that is not there.
    """
    lines = []
    for name, table in tables.items():
        fallback = table.get("fallback") if isinstance(table, dict) else None
        target = fallback.get("plugin") if isinstance(fallback, dict) and len(fallback) == 1 else None
        if isinstance(target, str) and target and (target == name or target not in tables):
            others = [each for each in tables if isinstance(each, str) and each != name]
            known = meant(target, others) or f"; there are: {', '.join(others) or 'none'}"
            expected = f"expected another plugin that is configured, got {target!r}{known}"
            lines.append(f"plugins.{name}.fallback.plugin: {expected}")
    return lines


def as_table(record: Any) -> Any:
    """
    A record as the table that a file would give; objects of the program stay what they are.
    """
    if isinstance(record, ResolverConfig):
        return {**record.options, "method": record.method}
    if is_dataclass(record):
        return {
            each.name: getattr(record, each.name) if each.metadata == OBJECT else as_table(getattr(record, each.name))
            for each in fields(record)
        }
    if isinstance(record, tuple):
        return [as_table(each) for each in record]
    return dict(record) if isinstance(record, Mapping) else record


def _with_key(line: str) -> str:
    """
    A line of a record that found its keys not to fit together, with the key that it names put into the path.
    """
    return _KEY.sub(r"\1.\2: ", line)


def _discreet(line: str) -> str:
    """
    A line without the value that it quotes, where that may be a secret.
    """
    path, _, reason = line.partition(": ")
    return f"{path}: {reason.partition(', got ')[0]}" if may_be_secret(path) else line
