"""
The converter that payload codecs and the configuration share: strict, and the same for every kind of record.

What lives here: how it is put together. What must not: the hooks themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Set

from cattrs import Converter

from remora._structure._collections import add_collections
from remora._structure._records import add_records
from remora._structure._scalars import add_scalars
from remora._structure._unions import add_unions


def make_converter(
    *, detailed: bool = True, forbid_extra_keys: bool = False, most_errors: int | None = None
) -> Converter:
    """
    A converter that turns no value of one type into one of another, except whole numbers where a float is wanted.

    Args:
        detailed: Collect all errors, for `describe_errors`; without it the first one ends the work, which is faster.
        forbid_extra_keys: Make unknown keys an error instead of ignoring them.
        most_errors: Of how many items of one collection the errors are collected; None for all. Who sends millions of
            wrong items must not be able to have minutes spent on describing each of them.
    """
    converter = Converter(
        detailed_validation=detailed,
        forbid_extra_keys=forbid_extra_keys,
        unstruct_collection_overrides={Set: list, Counter: dict},
    )
    add_scalars(converter)
    add_collections(converter, most_errors)
    add_records(converter)
    add_unions(converter)
    return converter
