"""
Configurations that were made in code.

What lives here: what is wrong with them, in the words that are used for files, and that each record is one of its kind.
What must not: what a file may say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

from remora.config._checks import check
from remora.config._places import join_path
from remora.config._records import ManagerConfig, PluginConfig
from remora.config._structured import as_table, structured

if TYPE_CHECKING:
    from collections.abc import Iterator


def problems_of_config(config: ManagerConfig) -> list[str]:
    """
    What is wrong with a configuration, but for its plugins, of which only the names are looked at.
    """
    problems = problems_of_record(replace(config, plugins={}), "")
    plugins: object = config.plugins
    if not isinstance(plugins, Mapping):
        return [*problems, "plugins: expected a table of plugins by name"]
    return problems + [problem for name, each in plugins.items() if (problem := _misnamed(name, each))]


def problems_of_plugin(plugin: PluginConfig) -> list[str]:
    """
    What is wrong with a plugin's table.
    """
    return problems_of_record(plugin, f"plugins.{plugin.name}") or check(plugin)


def problems_of_record(record: Any, path: str) -> list[str]:
    """
    What is wrong with a record of a configuration.

    Args:
        record: The record.
        path: Where its table would stand in a file.
    """
    problems: list[str] = []
    made = structured(type(record), as_table(record), path, problems)
    return problems or list(_mistyped(record, made, path))


def _misnamed(name: object, plugin: object) -> str:
    if not isinstance(plugin, PluginConfig):
        return f"plugins.{name}: {_expected(PluginConfig, plugin)}"
    return "" if plugin.name == name else f"plugins.{name}.name: expected {name!r}, got {plugin.name!r}"


def _mistyped(value: Any, made: Any, path: str) -> Iterator[str]:
    """
    The values that stand in a record as they would in a file: nobody reads them before they are used.
    """
    if value is made:
        return
    is_unread = isinstance(value, str) and not isinstance(made, str)
    if type(value) is not type(made) and (is_unread or is_dataclass(made)):
        yield f"{path}: {_expected(type(made), value)}"
    elif is_dataclass(made):
        for each in fields(made):
            yield from _mistyped(getattr(value, each.name), getattr(made, each.name), join_path(path, each.name))
    elif isinstance(made, Mapping):
        for key in made:
            yield from _mistyped(value[key], made[key], join_path(path, key))
    elif isinstance(made, tuple):
        for index, (item, one) in enumerate(zip(value, made, strict=True)):
            yield from _mistyped(item, one, f"{path}[{index}]")


def _expected(kind: type, value: object) -> str:
    return f"expected, in code, {kind.__name__}, got {type(value).__name__}"
