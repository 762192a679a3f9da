"""
Tables that set values for something that is off by default, and do not switch it on.

What lives here: finding them. What must not: an opinion on tables that say `enabled = false`, which is deliberate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from remora.config._records import Defaults

if TYPE_CHECKING:
    from collections.abc import Iterator

    Path = tuple[str, ...]


def switched_off(tables: Mapping[str, Any]) -> Iterator[str]:
    """
    A line for each table of a plugin that sets values to no effect, neither the plugin nor the defaults saying more.
    """
    for path in _SWITCHES:
        if "enabled" in _below(tables, ("defaults", *path)):
            continue
        for name, plugin in _below(tables, ("plugins",)).items():
            own = _below(plugin, path)
            if own and "enabled" not in own:
                yield f"plugins.{name}.{'.'.join(path)}: has no effect without `enabled = true`"


def _below(table: object, path: Path) -> Mapping[str, object]:
    for key in path:
        table = table.get(key) if isinstance(table, Mapping) else None
    return table if isinstance(table, Mapping) else {}


def _off_by_default(record: Any, path: Path = ()) -> Iterator[Path]:
    """
    The paths of the tables below a record whose key `enabled` is false unless it is set.
    """
    for each in fields(record):
        value = getattr(record, each.name)
        if is_dataclass(value):
            here = (*path, each.name)
            yield from [here] if getattr(value, "enabled", True) is False else []
            yield from _off_by_default(value, here)


_SWITCHES = tuple(_off_by_default(Defaults()))
