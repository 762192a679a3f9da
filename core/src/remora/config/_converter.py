"""
Plain values to configuration records: strict, with limits and durations, and no unknown keys.

What lives here: the hooks of the configuration's own kinds of values. What must not: files, and the merging of tables.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, get_args

from remora._structure import Mismatch, make_converter
from remora.config._open import OPEN, split
from remora.types import Endpoint
from remora.values import Limits, parse_duration

if TYPE_CHECKING:
    from cattrs import Converter

WEIGHT = Limits(0, maximum=10**15)  # such weights, and sums of them, are exact as floats


def make_config_converter() -> Converter:
    """
    The converter for tables of the configuration, and for the options of transports.
    """
    converter = make_converter(forbid_extra_keys=True)
    converter.register_structure_hook_func(lambda type_: _limits(type_) is not None, _number)
    converter.register_structure_hook(Endpoint, _endpoint)
    for record in OPEN:
        converter.register_structure_hook(record, _open_table)
    return converter


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
    raise Mismatch(str(limits), value)


def _endpoint(value: object, _: object) -> Endpoint:
    if isinstance(value, str):
        return Endpoint(value)
    endpoint: Endpoint = _PLAIN.structure(value, Endpoint)
    if not WEIGHT.allow(endpoint.weight):
        raise ValueError(f"weight: {Mismatch(str(WEIGHT), endpoint.weight)}")
    return endpoint


def _open_table(value: object, record: Any) -> Any:
    return _PLAIN.structure(split(value, record), record)


_PLAIN = make_converter(forbid_extra_keys=True)
