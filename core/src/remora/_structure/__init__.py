"""
Records from plain values and back, strictly, with errors that name the field. Payloads and configuration both use it.
"""

from typing import TYPE_CHECKING

from remora._lazy import lazily

if TYPE_CHECKING:
    from remora._structure._converter import make_converter
    from remora._structure._culprit import find_culprit
    from remora._structure._direct import make_direct_reader, make_direct_writer
    from remora._structure._errors import Phrasing, describe_errors, join_path
    from remora._structure._fields import Field, bare, is_record, is_union, literal_values, record_fields, record_type
    from remora._structure._mismatch import Mismatch
    from remora._structure._objections import objection_to
    from remora._structure._quick import Refused, quick_reader, quick_writer
    from remora._structure._shortcuts import Shortcuts
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "remora._structure._converter": "make_converter",
            "remora._structure._culprit": "find_culprit",
            "remora._structure._direct": "make_direct_reader make_direct_writer",
            "remora._structure._errors": "Phrasing describe_errors join_path",
            "remora._structure._fields": "Field bare is_record is_union literal_values record_fields record_type",
            "remora._structure._mismatch": "Mismatch",
            "remora._structure._objections": "objection_to",
            "remora._structure._quick": "Refused quick_reader quick_writer",
            "remora._structure._shortcuts": "Shortcuts",
        },
    )

__all__ = [
    "Field",
    "Mismatch",
    "Phrasing",
    "Refused",
    "Shortcuts",
    "bare",
    "describe_errors",
    "find_culprit",
    "is_record",
    "is_union",
    "join_path",
    "literal_values",
    "make_converter",
    "make_direct_reader",
    "make_direct_writer",
    "objection_to",
    "quick_reader",
    "quick_writer",
    "record_fields",
    "record_type",
]
