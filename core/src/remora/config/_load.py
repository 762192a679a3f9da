"""
From a file to configuration records. Every problem of a file is reported at once.

What lives here: reading, expanding, checking. What must not: the keys themselves (see `_records`).
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remora._requirement import problem_of
from remora._structure import describe_errors
from remora.config._converter import make_config_converter
from remora.config._expand import expand
from remora.config._order import problems_of_order
from remora.config._records import OBJECT, AccessConfig, Defaults, ManagerConfig, PluginConfig
from remora.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Sequence

FORMATS: dict[str, Callable[[str], Any]] = {".toml": tomllib.loads}
"""How a file is parsed, by the ending of its name."""

_CONVERTER = make_config_converter()
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_SECRET = re.compile(r"(?i)\benv\b|auth|header|key|passw|secret|token|credential")
_SHORT = re.compile(r"[A-Za-z0-9_-]+:[A-Za-z_]+=")
_HIDDEN = frozenset({"api_key", "token", "password", "callers"})
_KEY = re.compile(r"^([^:\s]+): ([a-z_]+): ")
_BLOCKS = tuple(each.name for each in fields(Defaults))


def load_config(path: str | os.PathLike[str], variables: Mapping[str, str] | None = None) -> ManagerConfig:
    """
    The configuration in a file.

    Args:
        path: The file; its ending tells the format.
        variables: What `${VAR}` stands for; by default the environment.

    Raises:
        ConfigError: The file cannot be read or parsed, or has problems; each names the path of its key.
    """
    data, source = _parsed(path)
    return structure_config(data, source=source, variables=variables)


def load_access(
    source: str | os.PathLike[str] | Mapping[str, object], variables: Mapping[str, str] | None = None
) -> AccessConfig:
    """
    Who may call a served plugin, as the `[auth]` table of a file says, or a table itself.

    Args:
        source: The file; its ending tells the format. Or the table.
        variables: What `${VAR}` stands for; by default the environment.

    Raises:
        ConfigError: The file cannot be read or parsed, or the table has problems; each names the path of its key.
    """
    data, name = ({"auth": source}, None) if isinstance(source, Mapping) else _parsed(source)
    problems: list[str] = []
    tables = expand(data, os.environ if variables is None else variables, problems)
    table = tables.get("auth") if isinstance(tables, dict) else None
    if table is None:
        raise ConfigError(summary(["there is no table [auth]"], name), source=name)
    access: AccessConfig | None = _structure(AccessConfig, table, "auth", problems)
    if access is not None and not problems:
        return access
    raise ConfigError(summary(problems, name), problems=problems, source=name)


def read_access(text: str) -> AccessConfig:
    """
    Who may call a served plugin, as the command line says: a file, or `METHOD:KEY=VALUE,KEY=VALUE`.

    Raises:
        ConfigError: It makes no sense, or has a secret in it, which everybody on the machine could read there.
    """
    if Path(text).suffix.lower() in FORMATS and not _SHORT.match(text):
        return load_access(text)
    method, _, rest = text.partition(":")
    table: dict[str, object] = {"method": method}
    for item in filter(None, rest.split(",")):
        key, equals, value = item.partition("=")
        if not equals:
            raise ConfigError(f"auth: {item!r} is not of the form KEY=VALUE")
        if key in _HIDDEN:
            raise ConfigError(f"auth.{key}: a command line is no place for a secret; name a file instead")
        table[key] = {"true": True, "false": False}.get(value, value)
    return load_access(table)


def _parsed(path: str | os.PathLike[str]) -> tuple[Any, str]:
    file = Path(path)
    parse = FORMATS.get(file.suffix.lower())
    if parse is None:
        raise ConfigError(f"{file}: the ending is none of {', '.join(FORMATS)}", source=str(file))
    try:
        return parse(file.read_text(encoding="utf-8")), str(file)
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror or error}", source=str(file)) from error
    except RecursionError as error:
        raise ConfigError(f"{file}: nested too deeply", source=str(file)) from error
    except ValueError as error:  # not UTF-8, or not of the format
        raise ConfigError(f"{file}: {error}", source=str(file)) from error


def structure_config(
    data: Mapping[str, object], *, source: str | None = None, variables: Mapping[str, str] | None = None
) -> ManagerConfig:
    """
    The configuration in a mapping such as a file gives.

    Args:
        data: Tables by name.
        source: The file that it comes from, for messages.
        variables: What `${VAR}` stands for; by default the environment.

    Raises:
        ConfigError: It has problems; each names the path of its key.
    """
    problems: list[str] = []
    try:
        tables = expand(data, os.environ if variables is None else variables, problems)
        config = _whole(tables, problems)
    except RecursionError as error:
        raise ConfigError(summary(["nested too deeply"], source), source=source) from error
    if config is not None and not problems:
        return config
    raise ConfigError(summary(problems, source), problems=problems, source=source)


def summary(problems: Sequence[str], source: str | None = None) -> str:
    """
    Problems as the message of one error.
    """
    prefix = f"{source}: " if source else ""
    if len(problems) == 1:
        return prefix + problems[0]
    return f"{prefix}{len(problems)} problems\n" + "\n".join(f"  {line}" for line in problems)


def problems_of_plugin(plugin: PluginConfig) -> list[str]:
    """
    What is wrong with a plugin's table that was made in code.
    """
    problems: list[str] = []
    if _structure(PluginConfig, _table(plugin), f"plugins.{plugin.name}", problems) is None:
        return problems
    return _check(plugin)


def _whole(tables: object, problems: list[str]) -> ManagerConfig | None:
    """
    The configuration in expanded tables; each part is looked at even when others have problems.
    """
    if not isinstance(tables, dict) or not all(isinstance(key, str) for key in tables):
        problems.append("the configuration is no table with words for keys")
        return None
    rest = {key: value for key, value in tables.items() if key not in ("defaults", "plugins")}
    config: ManagerConfig | None = _structure(ManagerConfig, rest, "", problems)
    defaults: Defaults | None = _structure(Defaults, tables.get("defaults", {}), "defaults", problems)
    plugins = _plugins(tables.get("plugins", {}), tables.get("defaults", {}) if defaults else {}, problems)
    return replace(config, defaults=defaults, plugins=plugins) if config and defaults else None


def _plugins(tables: object, defaults: Mapping[str, Any], problems: list[str]) -> dict[str, PluginConfig]:
    if not isinstance(tables, dict):
        problems.append("plugins: expected a table of plugins by name")
        return {}
    plugins = {}
    for name, table in tables.items():
        where = f"plugins.{name}"
        if isinstance(table, dict) and "name" in table:
            problems.append(f"{where}.name: unknown key; the name is the one in [plugins.{name}]")
        elif not isinstance(name, str) or not _NAME.fullmatch(name):
            problems.append(f"{where}: a plugin's name is made of letters, digits, '.', '_' and '-'")
        else:
            plugin: PluginConfig | None = _structure(
                PluginConfig, _with_defaults(name, table, defaults), where, problems
            )
            if plugin is not None:
                plugins[name] = plugin
                _add(_check(plugin), problems)
    _add(_missing_fallbacks(plugins, tables), problems)
    if len(plugins) == len(tables):  # else what is missing may only be wrong
        _add(problems_of_order(plugins), problems)
    return plugins


def _missing_fallbacks(plugins: Mapping[str, PluginConfig], known: Collection[str]) -> list[str]:
    return [
        f"plugins.{name}.fallback.plugin: expected another plugin that is configured, got {plugin.fallback.plugin!r}"
        for name, plugin in plugins.items()
        if plugin.fallback and plugin.fallback.plugin and plugin.fallback.plugin not in set(known) - {name}
    ]


def _with_defaults(name: str, table: object, defaults: Mapping[str, Any]) -> object:
    """
    A plugin's table with the defaults put into it, field by field, and its name.
    """
    if not isinstance(table, dict):
        return table
    blocks = {
        block: {**defaults[block], **table.get(block, {})}
        for block in _BLOCKS
        if block in defaults and isinstance(table.get(block, {}), dict) and not _is_another(block, table, defaults)
    }
    endpoints = {"endpoints": _with_priority(table)} if {"priority", "endpoints"} <= table.keys() else {}
    return {**table, **blocks, **endpoints, "name": name}


def _is_another(block: str, table: Mapping[str, Any], defaults: Mapping[str, Any]) -> bool:
    """
    Whether a plugin authenticates in a way of its own, for which the fields of the default one mean nothing.
    """
    method = table.get("auth", {}).get("method") if block == "auth" else None
    return method is not None and method != defaults["auth"].get("method")


def _with_priority(table: Mapping[str, Any]) -> Any:
    """
    The endpoints, those without a priority with the plugin's own.
    """
    endpoints = table["endpoints"]
    if not isinstance(endpoints, list):
        return endpoints
    tables = [{"url": each} if isinstance(each, str) else each for each in endpoints]
    return [{"priority": table["priority"], **each} if isinstance(each, dict) else each for each in tables]


def _table(record: Any) -> Any:
    """
    A record as the table that a file would give; objects of the program stay what they are.
    """
    if is_dataclass(record):
        return {
            each.name: getattr(record, each.name) if each.metadata == OBJECT else _table(getattr(record, each.name))
            for each in fields(record)
        }
    if isinstance(record, tuple):
        return [_table(each) for each in record]
    return dict(record) if isinstance(record, Mapping) else record


def _structure(record: type[Any], data: object, path: str, problems: list[str]) -> Any:
    try:
        return _CONVERTER.structure(data, record)
    except RecursionError:
        raise
    except Exception as error:  # cattrs raises groups of whatever it meets
        _add((_discreet(_with_key(line)) for line in describe_errors(error, root=path)), problems)
        return None


def _add(lines: Iterable[str], problems: list[str]) -> None:
    """
    Add lines for the paths that have none yet: a missing variable is no wrong value as well.
    """
    known = {line.partition(": ")[0] for line in problems}
    problems += [line for line in lines if line.partition(": ")[0] not in known]


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
    return f"{path}: {reason.partition(', got ')[0]}" if _SECRET.search(path) else line


def _check(plugin: PluginConfig) -> list[str]:
    """
    What cannot be said by the type of one key.
    """
    where = f"plugins.{plugin.name}"
    problems = []
    if not _NAME.fullmatch(plugin.name):
        problems.append(f"{where}: a plugin's name is made of letters, digits, '.', '_' and '-'")
    if plugin.endpoint and plugin.endpoints:
        problems.append(f"{where}: has both endpoint and endpoints; one of them is enough")
    if not (plugin.endpoint or plugin.endpoints or plugin.executable):
        problems.append(f"{where}: has no endpoint")
    if not (plugin.auth.custom is None or callable(getattr(plugin.auth.custom, "flow", None))):
        problems.append(f"{where}.auth.custom: expected, in code, an object with a method `flow`")
    if not (plugin.auth.token_source is None or callable(plugin.auth.token_source)):
        problems.append(f"{where}.auth.token_source: expected, in code, a callable")
    if problem := problem_of(plugin.version):
        problems.append(f"{where}.version: {problem}")
    addresses = [("endpoint", plugin.endpoint)] if plugin.endpoint else []
    addresses += [(f"endpoints[{index}].url", each.url) for index, each in enumerate(plugin.endpoints)]
    for key, url in addresses:
        if not _SCHEME.match(url):
            problems.append(f"{where}.{key}: {url!r} has no scheme such as http:, grpc:, unix: or exec:")
    return problems
