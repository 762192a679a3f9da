"""
The tables `[exporters.NAME]`: `enabled`, and what the exporter of that name makes of the rest.
"""

from __future__ import annotations

from remora.config._records import ExporterConfig
from remora.config._structured import structured


def exporters_in(tables: object, problems: list[str]) -> dict[str, ExporterConfig]:
    """
    The exporters by name.

    Args:
        tables: What stands under `exporters`.
        problems: Where problems go.
    """
    if not isinstance(tables, dict):
        problems.append("exporters: expected a table of exporters by name")
        return {}
    found = {}
    for name, table in tables.items():
        where = f"exporters.{name}"
        if not isinstance(table, dict):
            problems.append(f"{where}: expected a table")
        elif config := structured(ExporterConfig, table, where, problems):
            found[str(name)] = config
    return found
