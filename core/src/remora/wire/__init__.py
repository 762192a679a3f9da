"""
Bytes and messages of the wires that more than one transport shares. Nothing here does I/O.
"""

from remora.wire._status import STRUCT, decode_status, decode_struct, encode_status, encode_struct, error_from_status

__all__ = ["STRUCT", "decode_status", "decode_struct", "encode_status", "encode_struct", "error_from_status"]
