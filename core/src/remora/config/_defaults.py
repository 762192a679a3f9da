"""
What holds for every plugin that does not say otherwise, put into the plugins' own tables, field by field.

What lives here: merging tables. What must not: checking them.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from remora.config._places import hand_on
from remora.config._records import Defaults

if TYPE_CHECKING:
    from collections.abc import Mapping

    from remora.config._places import Places

BLOCKS = tuple(each.name for each in fields(Defaults))
"""The tables that may stand in `[defaults]` and in a plugin."""


def with_defaults(name: str, table: object, defaults: Mapping[str, Any], places: Places) -> object:
    """
    A plugin's table with the defaults put into it, field by field, and its name.

    Args:
        name: The plugin's name.
        table: Its table.
        defaults: The table of the defaults.
        places: Gets the places of the defaults as those of the plugin's keys.
    """
    if not isinstance(table, dict):
        return table
    blocks = {
        block: {**defaults[block], **table.get(block, {})}
        for block in BLOCKS
        if block in defaults and isinstance(table.get(block, {}), dict) and not _is_another(block, table, defaults)
    }
    for block in blocks if places else ():
        _hand_on_block(name, block, places, own=table.get(block, {}), given=defaults[block])
    endpoints = {"endpoints": _with_priority(name, table, places)} if {"priority", "endpoints"} <= table.keys() else {}
    return {**table, **blocks, **endpoints, "name": name}


def _hand_on_block(name: str, block: str, places: Places, *, own: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    source, target = f"defaults.{block}", f"plugins.{name}.{block}"
    for key in given.keys() - own.keys():
        hand_on(places, given[key], f"{source}.{key}", f"{target}.{key}", via=source)


def _is_another(block: str, table: Mapping[str, Any], defaults: Mapping[str, Any]) -> bool:
    """
    Whether a plugin authenticates in a way of its own, for which the fields of the default one mean nothing.
    """
    method = table.get("auth", {}).get("method") if block == "auth" else None
    return method is not None and method != defaults["auth"].get("method")


def _with_priority(name: str, table: Mapping[str, Any], places: Places) -> Any:
    """
    The endpoints, those without a priority with the plugin's own.
    """
    endpoints = table["endpoints"]
    if not isinstance(endpoints, list):
        return endpoints
    for index in range(len(endpoints)):
        priority = f"plugins.{name}.priority"
        hand_on(places, table["priority"], priority, f"plugins.{name}.endpoints[{index}].priority")
    tables = [{"url": each} if isinstance(each, str) else each for each in endpoints]
    return [{"priority": table["priority"], **each} if isinstance(each, dict) else each for each in tables]
