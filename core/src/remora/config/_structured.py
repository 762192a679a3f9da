"""
From tables to records and back.

What lives here: structuring, key by key. What must not: files, variables, defaults, rules that no type of a key can say
(see `_checks`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from remora.config._checks import has_address
from remora.config._converter import make_config_converter
from remora.config._open import OPEN, own_values
from remora.config._phrasing import describe_errors
from remora.config._problems import add
from remora.config._records import OBJECT, PluginConfig

_CONVERTER = make_config_converter()
_SECRET = re.compile(r"(?i)\bargs\Z|\benv\b|auth|header|key|passw|secret|token|credential")
_KEY = re.compile(r"^([^:\s]+): ([a-z_]+): ")
_FIRST_KEY = re.compile(r"\.([A-Za-z_]+)")


def structured(record: type[Any], data: object, path: str, problems: list[str]) -> Any:
    """
    A record from a table; None when the table has problems, which are added.
    """
    try:
        return _CONVERTER.structure(data, record)
    except RecursionError:
        raise
    except Exception as error:  # cattrs raises groups of whatever it meets
        add((_discreet(_with_key(line)) for line in describe_errors(error, path)), problems)
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
    return plugin if plugin is not None and (not wrong or has_address(plugin)) else None


def as_table(record: Any) -> Any:
    """
    A record as the table that a file would give; objects of the program stay what they are.
    """
    if isinstance(record, OPEN):
        return {**record.options, **own_values(record)}
    kind: Any = type(record)
    if (objects := _objects_in(kind)) is not None:
        return {
            name: getattr(record, name) if is_object else as_table(getattr(record, name))
            for name, is_object in objects.items()
        }
    if isinstance(record, tuple):
        return [as_table(each) for each in record]
    if isinstance(record, Mapping):
        return {key: as_table(each) if isinstance(each, OPEN) else each for key, each in record.items()}
    return record


@cache
def _objects_in(kind: Any) -> dict[str, bool] | None:
    """
    The names of a record's fields, each with whether it holds an object of the program; None for what is no record.
    """
    return {each.name: each.metadata == OBJECT for each in fields(kind)} if is_dataclass(kind) else None


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
