"""
Bytes and messages of the wires that more than one transport shares. Nothing here does I/O.
"""

from remora.wire._health import (
    HEALTH_METHOD,
    HEALTH_SERVICE,
    decode_health,
    decode_health_request,
    encode_health,
    health_call,
)
from remora.wire._status import STRUCT, decode_status, decode_struct, encode_status, encode_struct, error_from_status

__all__ = [
    "HEALTH_METHOD",
    "HEALTH_SERVICE",
    "STRUCT",
    "decode_health",
    "decode_health_request",
    "decode_status",
    "decode_struct",
    "encode_health",
    "encode_status",
    "encode_struct",
    "error_from_status",
    "health_call",
]
