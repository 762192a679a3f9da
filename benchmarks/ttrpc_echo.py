"""
The least ttrpc server, beside the least servers of the peers (see `servers`): on a socket, or as a child.

It reads frames and messages with what Remora has for it, and does nothing else: no handler, no deadline, no JSON.
"""

from __future__ import annotations

import asyncio
import socket
import sys

from remora import Code, PluginError
from remora.types import Reply
from remora.wire import (
    REQUEST,
    RESPONSE,
    FrameDecoder,
    Oversize,
    decode_request,
    encode_error,
    encode_frame,
    encode_reply,
)

_SERVICE = "bench.v1.Echo"
_CHUNK = 256 * 1024


class TtrpcEcho(asyncio.Protocol):
    """
    The payload of each request goes back; what comes at once is answered at once.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """
        A client has connected.
        """
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._decoder = FrameDecoder()

    def data_received(self, data: bytes) -> None:
        """
        Answer the requests that are complete.
        """
        self._transport.write(_answers(self._decoder, data))


def serve_as_child() -> None:
    """
    The same over the socket that is standard input and output, until its end.
    """
    decoder = FrameDecoder()
    with socket.socket(fileno=sys.stdin.fileno()) as connected:
        while data := connected.recv(_CHUNK):
            connected.sendall(_answers(decoder, data))


def _answers(decoder: FrameDecoder, data: bytes) -> bytes:
    return b"".join(
        encode_frame(frame[0], RESPONSE, _answer(bytes(frame[2])))
        for frame in decoder.frames(data)
        if not isinstance(frame, Oversize) and frame[1] == REQUEST
    )


def _answer(request: bytes) -> bytes:
    call = decode_request(request, 0.0)
    if call.service != _SERVICE:  # the question for health; who has no such service is healthy
        return encode_error(PluginError("there is only the echo", code=Code.UNIMPLEMENTED))
    return encode_reply(Reply(payload=call.payload, content_type=call.content_type))
