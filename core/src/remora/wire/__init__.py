"""
Bytes and messages of the wires that more than one transport shares. Nothing here does I/O.
"""

from remora.wire._health import HEALTH_METHOD, HEALTH_SERVICE, decode_health, encode_health, health_call
from remora.wire._jsonl import JsonLines, Noise, Overlong, dump_json, load_json
from remora.wire._jsonl_messages import (
    JsonAnswer,
    JsonCancel,
    JsonRequest,
    decode_json_answer,
    decode_json_request,
    encode_json_cancel,
    encode_json_error,
    encode_json_reply,
    encode_json_request,
)
from remora.wire._status import STRUCT, decode_status, decode_struct, encode_status, encode_struct, error_from_status

__all__ = [
    "HEALTH_METHOD",
    "HEALTH_SERVICE",
    "STRUCT",
    "JsonAnswer",
    "JsonCancel",
    "JsonLines",
    "JsonRequest",
    "Noise",
    "Overlong",
    "decode_health",
    "decode_json_answer",
    "decode_json_request",
    "decode_status",
    "decode_struct",
    "dump_json",
    "encode_health",
    "encode_json_cancel",
    "encode_json_error",
    "encode_json_reply",
    "encode_json_request",
    "encode_status",
    "encode_struct",
    "error_from_status",
    "health_call",
    "load_json",
]
