"""
Open tables: those whose further keys are an extension's. In their records these are in `options`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from remora.config._records import ExporterConfig, InterceptorConfig, ResolverConfig

OPEN = (ExporterConfig, InterceptorConfig, ResolverConfig)
"""The records of open tables."""


def own_keys(record: Any) -> tuple[str, ...]:
    """
    The keys of an open table that are Remora's.
    """
    return tuple(each.name for each in fields(record) if each.name != "options")


def own_values(table: Any) -> dict[str, object]:
    """
    The same keys with their values, but for those that say nothing.
    """
    return {key: value for key in own_keys(table) if (value := getattr(table, key)) is not None}


def split(table: object, record: Any) -> object:
    """
    An open table as its record has it: the keys of an extension under `options`.
    """
    if not isinstance(table, Mapping):
        return table
    own = {key: table[key] for key in own_keys(record) if key in table}
    return {**own, "options": {key: each for key, each in table.items() if key not in own}}
