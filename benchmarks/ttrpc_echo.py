"""
A minimal ttrpc server, to match the minimal servers of the peers (see `servers`): on a socket, or as a child.

It reads frames and messages with Remora's own functions, and does nothing else: no event loop, no handler, no deadline,
no JSON. Frames that arrive together are answered together, and a large payload is not copied more often than needed.
"""

from __future__ import annotations

import socket
import sys
from threading import Thread
from typing import TYPE_CHECKING

from remora import Code, PluginError
from remora.io._parts import pieces_of, rest_of
from remora.io._pipe import _widen
from remora.types import Reply
from remora.wire import (
    LARGE,
    REQUEST,
    RESPONSE,
    FrameDecoder,
    decode_request,
    encode_error,
    encode_frame,
    encode_reply,
    frame_parts,
    lift_from_request,
    reply_parts,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remora.io._parts import Bytes

_SERVICE = "bench.v1.Echo"
_ROOM = 256 * 1024


def listen_at(path: str) -> None:
    """
    Serve all connections to a path, until the process ends.
    """
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()
    Thread(target=_accept_all, args=(listening,), daemon=True).start()


def serve_as_child() -> None:
    """
    Serve the socket that is both standard input and output, until its end.
    """
    _serve(socket.socket(fileno=sys.stdin.fileno()))


def _accept_all(listening: socket.socket) -> None:
    while True:
        connected, _ = listening.accept()
        Thread(target=_serve, args=(connected,), daemon=True).start()


def _serve(connected: socket.socket) -> None:
    decoder, room = FrameDecoder(), memoryview(bytearray(_ROOM))
    _widen(connected)
    with connected:
        while size := connected.recv_into(room):
            pieces: Sequence[bytes | memoryview] = pieces_of(_answers(decoder, room[:size]))
            while pieces:
                pieces = rest_of(pieces, connected.sendmsg(pieces))


def _answers(decoder: FrameDecoder, data: memoryview) -> list[Bytes]:
    return [
        _answer(number, message)
        for number, kind, message in decoder.frames(data)
        if kind == REQUEST and not isinstance(message, int)
    ]


def _answer(number: int, message: bytes | memoryview) -> Bytes:
    rest, payload = (message, b"") if isinstance(message, bytes) else lift_from_request(message)
    call = decode_request(rest, 0.0, payload)
    if call.service != _SERVICE:  # a health check; a server without that service is healthy
        refusal = PluginError("there is only the echo", code=Code.UNIMPLEMENTED)
        return encode_frame(number, RESPONSE, encode_error(refusal))
    reply = Reply(payload=call.payload, content_type=call.content_type)
    if len(reply.payload) < LARGE:
        return encode_frame(number, RESPONSE, encode_reply(reply))
    return frame_parts(number, RESPONSE, reply_parts(reply))
