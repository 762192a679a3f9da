"""
The parsers under fuzz, and what each of them claims of any bytes: no exception but the one that it promises.
"""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import TYPE_CHECKING

import grpc
from grpc.aio import AioRpcError, Metadata

from remora import Call, ConfigError, RemoraError, Reply
from remora.codecs import JsonCodec
from remora.config import FORMATS, ManagerConfig, structure_config
from remora.types import PluginInfo
from remora.values import parse_duration
from remora.wire import (
    Frame,
    FrameDecoder,
    JsonLines,
    Noise,
    Overlong,
    Oversize,
    decode_json_answer,
    decode_json_request,
    decode_request,
    decode_response,
    decode_status,
    lift_from_request,
)
from remora_grpc._status import error_from_rpc
from remora_http._body import BadEncoding, Body, BodyTooLarge
from remora_http._client._answer_reader import AnswerReader
from remora_http._client._known_heads import KnownHeads
from remora_http._failure import Answer, read_failure
from remora_http._server._request_reader import RequestReader

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL = 1000
"""The limit of messages under fuzz, so that it is met."""


def frames(data: bytes) -> None:
    """
    ttrpc: frames, and the messages in them.
    """
    decoder = FrameDecoder(max_message_size=SMALL)
    with suppress(RemoraError):
        decoder.feed(data[: len(data) // 2])
        decoder.feed(data[len(data) // 2 :])
        while (frame := decoder.next_frame()) is not None:
            assert isinstance(frame, Frame | Oversize)
            if isinstance(frame, Frame):
                assert len(frame.message) <= SMALL
                messages(frame.message)


def messages(data: bytes) -> None:
    """
    ttrpc: requests and responses.
    """
    with suppress(ValueError):
        assert isinstance(decode_request(data, 0.0), Call)
    with suppress(ValueError):
        assert isinstance(decode_response(data, ""), Reply | RemoraError)
    with suppress(ValueError):
        rest, payload = lift_from_request(memoryview(data))
        assert decode_request(rest, 0.0, payload) == decode_request(data, 0.0)


def jsonl(data: bytes) -> None:
    """
    JSON lines, and the objects in them.
    """
    lines = JsonLines(max_size=SMALL)
    with suppress(RemoraError):
        lines.feed(data)
        lines.feed_eof()
    while (line := lines.next_message()) is not None:
        if not isinstance(line, Noise | Overlong):
            decode_json_answer(line)
            decode_json_request(line)


def connect_error(data: bytes) -> None:
    """
    Connect: the body of an error, of whatever status.
    """
    status = 300 + (data[0] if data else 0)
    headers = {"content-type": "application/json", "retry-after": data[1:12].decode("latin-1")}
    error = read_failure(Answer(status=status, headers=headers, own={}, body=data[12:]), now=0.0)
    assert isinstance(error, RemoraError)


def body(data: bytes) -> None:
    """
    HTTP: a body that says that it is compressed.
    """
    collected = Body(SMALL, "gzip")
    with suppress(BadEncoding, BodyTooLarge):
        collected.feed(data)
        assert len(collected.finish()) <= SMALL


def http_answer(data: bytes) -> None:
    """
    HTTP: an answer, in two pieces, and twice in one piece.
    """
    reader, view = AnswerReader("peer", SMALL), memoryview(data)
    with suppress(RemoraError):
        if not (reader.feed(view[: len(data) // 2]) or reader.feed(view[len(data) // 2 :])):
            reader.feed_eof()
        assert len(reader.outcome().body) <= SMALL
    known = KnownHeads()
    with suppress(RemoraError):
        first, second = AnswerReader("peer", SMALL, known), AnswerReader("peer", SMALL, known)
        assert first.feed(view) == second.feed(view)
        assert not first.is_complete or first.outcome().body == second.outcome().body


def http_request(data: bytes) -> None:
    """
    HTTP: requests, in two pieces.
    """
    reader = RequestReader(SMALL)
    reader.feed(data[: len(data) // 2])
    reader.feed(data[len(data) // 2 :])
    assert all(len(request.body) <= SMALL for request in reader.requests)
    assert not any(request.is_last for request in list(reader.requests)[:-1])


def config(data: bytes) -> None:
    """
    A configuration file in TOML.
    """
    _configured(data, ".toml")


def config_json(data: bytes) -> None:
    """
    A configuration file in JSON.
    """
    _configured(data, ".json")


def config_yaml(data: bytes) -> None:
    """
    A configuration file in YAML.
    """
    _configured(data, ".yaml")


def _configured(data: bytes, ending: str) -> None:
    """
    What a parser takes has lines, and is a configuration or has problems.
    """
    try:
        tables, lines = FORMATS[ending](data.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return
    assert not isinstance(tables, dict) or {(key,) for key in tables} <= lines.keys()
    with suppress(ConfigError):
        assert isinstance(structure_config(tables, variables={}), ManagerConfig)  # type: ignore[arg-type]


def duration(data: bytes) -> None:
    """
    Text that is a duration, or not.
    """
    with suppress(ValueError):
        seconds = parse_duration(data.decode("utf-8", "replace"))
        assert seconds >= 0
        assert math.isfinite(seconds)


def grpc_status(data: bytes) -> None:
    """
    gRPC: the message, details and trailing metadata of a status.
    """
    with suppress(ValueError):
        decode_status(data)
    code = list(grpc.StatusCode)[(data[0] if data else 2) % 17]
    if code is grpc.StatusCode.OK:
        return
    text = data[1:].decode("utf-8", "replace")
    trailing = Metadata(("grpc-retry-pushback-ms", text), ("grpc-status-details-bin", data[1:]))
    error = error_from_rpc(AioRpcError(code, Metadata(), trailing, details=text), connected=True)
    assert isinstance(error, RemoraError)


def description(data: bytes) -> None:
    """
    JSON where a record is expected.
    """
    with suppress(ValueError):
        assert isinstance(JSON.decode(data, PluginInfo), PluginInfo)
    with suppress(ValueError):
        value = JSON.decode(data, object)
        json.dumps(value)


JSON = JsonCodec()

TARGETS: dict[str, Callable[[bytes], None]] = {
    "frames": frames,
    "messages": messages,
    "jsonl": jsonl,
    "connect_error": connect_error,
    "body": body,
    "http_answer": http_answer,
    "http_request": http_request,
    "config": config,
    "config_json": config_json,
    "config_yaml": config_yaml,
    "duration": duration,
    "grpc_status": grpc_status,
    "description": description,
}
