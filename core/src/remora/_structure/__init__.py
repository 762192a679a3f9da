"""
Records from plain values and back, strictly, with errors that name the field. Payloads and configuration both use it.
"""

from remora._structure._converter import make_converter
from remora._structure._errors import Mismatch, describe_errors, join_path
from remora._structure._fields import Field, bare, is_record, is_union, literal_values, record_fields, record_type

__all__ = [
    "Field",
    "Mismatch",
    "bare",
    "describe_errors",
    "is_record",
    "is_union",
    "join_path",
    "literal_values",
    "make_converter",
    "record_fields",
    "record_type",
]
