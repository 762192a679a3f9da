"""
The tables `[exporters.NAME]`: `enabled`, and what the exporter of that name makes of the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from remora.config._records import ExporterConfig

if TYPE_CHECKING:
    from collections.abc import Callable


def exporters_in(
    tables: object, problems: list[str], structure: Callable[[type[Any], object, str, list[str]], Any]
) -> dict[str, ExporterConfig]:
    """
    The exporters by name.

    Args:
        tables: What stands under `exporters`.
        problems: Where problems go.
        structure: Makes a record of a table, given its path.
    """
    if not isinstance(tables, dict):
        problems.append("exporters: expected a table of exporters by name")
        return {}
    found = {}
    for name, table in tables.items():
        where = f"exporters.{name}"
        if not isinstance(table, dict):
            problems.append(f"{where}: expected a table")
        elif config := structure(ExporterConfig, _split(table), where, problems):
            found[str(name)] = config
    return found


def _split(table: dict[str, object]) -> dict[str, object]:
    enabled = {"enabled": table["enabled"]} if "enabled" in table else {}
    return {**enabled, "options": {key: value for key, value in table.items() if key != "enabled"}}
