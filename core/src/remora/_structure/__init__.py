"""
Records from plain values and back, strictly, with errors that name the field. Payloads and configuration both use it.
"""

from remora._structure._converter import make_converter
from remora._structure._errors import Mismatch, describe_errors
from remora._structure._fields import Field, is_record, record_fields, record_type

__all__ = ["Field", "Mismatch", "describe_errors", "is_record", "make_converter", "record_fields", "record_type"]
