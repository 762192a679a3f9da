"""
From a file to configuration records. Every problem of a file is reported at once.

What lives here: reading, expanding, checking. What must not: the keys themselves (see `_records`).
"""

from __future__ import annotations

import os
import re
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from remora._structure import describe_errors, make_converter
from remora.config._expand import expand
from remora.config._records import Defaults, ManagerConfig, PluginConfig
from remora.config._values import Limits, parse_duration
from remora.errors import ConfigError
from remora.types import Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FORMATS: dict[str, Callable[[str], Any]] = {".toml": tomllib.loads}
"""How a file is parsed, by the ending of its name."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_BLOCKS = ("connection",)


def load_config(path: str | os.PathLike[str], variables: Mapping[str, str] | None = None) -> ManagerConfig:
    """
    The configuration in a file.

    Args:
        path: The file; its ending tells the format.
        variables: What `${VAR}` stands for; by default the environment.

    Raises:
        ConfigError: The file cannot be read or parsed, or has problems; each names the path of its key.
    """
    file = Path(path)
    parse = FORMATS.get(file.suffix)
    if parse is None:
        raise ConfigError(f"{file}: the ending is none of {', '.join(FORMATS)}", source=str(file))
    try:
        data = parse(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror or error}", source=str(file)) from error
    except ValueError as error:  # not UTF-8, or not of the format
        raise ConfigError(f"{file}: {error}", source=str(file)) from error
    return structure_config(data, source=str(file), variables=variables)


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
    expanded = expand(dict(data), os.environ if variables is None else variables, problems)
    assert isinstance(expanded, dict)
    if not problems:
        problems += _problems_of(Defaults, expanded.get("defaults", {}), "defaults")
    if not problems:
        config: ManagerConfig | None = _structure(ManagerConfig, _merged(expanded, problems), "", problems)
        problems += [line for plugin in config.plugins.values() for line in _check(plugin)] if config else []
        if config is not None and not problems:
            return config
    raise ConfigError(_summary(source, problems), problems=problems, source=source)


def _summary(source: str | None, problems: list[str]) -> str:
    prefix = f"{source}: " if source else ""
    if len(problems) == 1:
        return prefix + problems[0]
    return f"{prefix}{len(problems)} problems\n" + "\n".join(f"  {line}" for line in problems)


def _merged(data: dict[str, Any], problems: list[str]) -> dict[str, Any]:
    """
    The tables with the defaults put into each plugin, field by field, and each plugin knowing its name.
    """
    plugins = data.get("plugins")
    if not isinstance(plugins, dict):
        return data
    defaults = data.get("defaults", {})
    return {
        **data,
        "plugins": {name: _with_defaults(name, table, defaults, problems) for name, table in plugins.items()},
    }


def _with_defaults(name: str, table: object, defaults: Mapping[str, Any], problems: list[str]) -> object:
    if not isinstance(table, dict):
        return table
    if "name" in table:
        problems.append(f"plugins.{name}.name: unknown key; the name is the one in [plugins.{name}]")
    blocks = {block: defaults[block] | _table(table, block) for block in _BLOCKS if block in defaults}
    return {**table, **blocks, "name": name}


def _table(table: Mapping[str, Any], block: str) -> Any:
    own = table.get(block, {})
    return own if isinstance(own, dict) else {block: own}


def _problems_of(record: type[Any], data: object, path: str) -> list[str]:
    problems: list[str] = []
    _structure(record, data, path, problems)
    return problems


def _structure(record: type[Any], data: object, path: str, problems: list[str]) -> Any:
    try:
        return _CONVERTER.structure(data, record)
    except Exception as error:  # cattrs raises groups of whatever it meets
        problems += describe_errors(error, root=path)
        return None


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
    addresses = [("endpoint", plugin.endpoint)] if plugin.endpoint else []
    addresses += [(f"endpoints[{index}].url", each.url) for index, each in enumerate(plugin.endpoints)]
    for key, url in addresses:
        if not _SCHEME.match(url):
            problems.append(f"{where}.{key}: {url!r} has no scheme such as http:, grpc:, unix: or exec:")
    return problems


def _limits(type_: object) -> Limits | None:
    return next((each for each in getattr(type_, "__metadata__", ()) if isinstance(each, Limits)), None)


def _number(value: object, type_: Any) -> object:
    """
    A number within the limits of its type.
    """
    limits = _limits(type_)
    assert limits is not None
    kind = get_args(type_)[0]
    number = value
    if limits.is_duration and isinstance(value, str):
        with suppress(ValueError):
            number = parse_duration(value)
    is_number = isinstance(number, int) or (kind is float and isinstance(number, float))
    if isinstance(number, int | float) and is_number and not isinstance(number, bool) and limits.allow(number):
        return kind(number)
    raise ValueError(f"expected {limits}, got {value!r}")


def _endpoint(value: object, _: object) -> Endpoint:
    if isinstance(value, str):
        return Endpoint(value)
    endpoint: Endpoint = _PLAIN.structure(value, Endpoint)
    if endpoint.weight < 0:
        raise ValueError(f"weight: expected a number of at least 0, got {endpoint.weight}")
    return endpoint


_PLAIN = make_converter(forbid_extra_keys=True)
_CONVERTER = make_converter(forbid_extra_keys=True)
_CONVERTER.register_structure_hook_func(lambda type_: _limits(type_) is not None, _number)
_CONVERTER.register_structure_hook(Endpoint, _endpoint)
