"""
Bytes and messages of the wire formats that more than one transport shares. Nothing here does I/O.
"""

from typing import TYPE_CHECKING

from remora._lazy import lazily

if TYPE_CHECKING:
    from remora._draft import make_call, make_reply
    from remora._plain import printable
    from remora.wire._frames import (
        CANCEL,
        DATA,
        DEFAULT_MAX_MESSAGE_SIZE,
        LARGE,
        REQUEST,
        RESPONSE,
        Frame,
        FrameDecoder,
        Oversize,
        encode_frame,
        frame_parts,
        quote,
    )
    from remora.wire._health import (
        HEALTH_METHOD,
        HEALTH_SERVICE,
        decode_health,
        decode_health_request,
        encode_health,
        health_call,
    )
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
        json_id,
        require_json,
    )
    from remora.wire._reserved import is_reserved
    from remora.wire._size import too_large
    from remora.wire._status import (
        RETRY_INFO,
        STRUCT,
        decode_retry_info,
        decode_status,
        decode_struct,
        encode_retry_info,
        encode_status,
        encode_struct,
        error_from_status,
        unsendable,
    )
    from remora.wire._streams import StreamTable
    from remora.wire._ttrpc import (
        PROTOBUF,
        decode_request,
        decode_response,
        encode_error,
        encode_reply,
        encode_request,
        lift_from_request,
        lift_from_response,
        reply_parts,
        request_parts,
    )
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "remora._draft": "make_call make_reply",
            "remora._plain": "printable",
            "remora.wire._frames": (
                "CANCEL DATA DEFAULT_MAX_MESSAGE_SIZE LARGE REQUEST RESPONSE Frame FrameDecoder Oversize encode_frame "
                "frame_parts quote"
            ),
            "remora.wire._health": (
                "HEALTH_METHOD HEALTH_SERVICE decode_health decode_health_request encode_health health_call"
            ),
            "remora.wire._jsonl": "JsonLines Noise Overlong dump_json load_json",
            "remora.wire._jsonl_messages": (
                "JsonAnswer JsonCancel JsonRequest decode_json_answer decode_json_request encode_json_cancel "
                "encode_json_error encode_json_reply encode_json_request json_id require_json"
            ),
            "remora.wire._reserved": "is_reserved",
            "remora.wire._size": "too_large",
            "remora.wire._status": (
                "RETRY_INFO STRUCT decode_retry_info decode_status decode_struct encode_retry_info encode_status "
                "encode_struct error_from_status unsendable"
            ),
            "remora.wire._streams": "StreamTable",
            "remora.wire._ttrpc": (
                "PROTOBUF decode_request decode_response encode_error encode_reply encode_request lift_from_request "
                "lift_from_response reply_parts request_parts"
            ),
        },
    )

__all__ = [
    "CANCEL",
    "DATA",
    "DEFAULT_MAX_MESSAGE_SIZE",
    "HEALTH_METHOD",
    "HEALTH_SERVICE",
    "LARGE",
    "PROTOBUF",
    "REQUEST",
    "RESPONSE",
    "RETRY_INFO",
    "STRUCT",
    "Frame",
    "FrameDecoder",
    "JsonAnswer",
    "JsonCancel",
    "JsonLines",
    "JsonRequest",
    "Noise",
    "Overlong",
    "Oversize",
    "StreamTable",
    "decode_health",
    "decode_health_request",
    "decode_json_answer",
    "decode_json_request",
    "decode_request",
    "decode_response",
    "decode_retry_info",
    "decode_status",
    "decode_struct",
    "dump_json",
    "encode_error",
    "encode_frame",
    "encode_health",
    "encode_json_cancel",
    "encode_json_error",
    "encode_json_reply",
    "encode_json_request",
    "encode_reply",
    "encode_request",
    "encode_retry_info",
    "encode_status",
    "encode_struct",
    "error_from_status",
    "frame_parts",
    "health_call",
    "is_reserved",
    "json_id",
    "lift_from_request",
    "lift_from_response",
    "load_json",
    "make_call",
    "make_reply",
    "printable",
    "quote",
    "reply_parts",
    "request_parts",
    "require_json",
    "too_large",
    "unsendable",
]
