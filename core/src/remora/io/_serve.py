"""
The server's side of a ttrpc connection: requests become calls of a dispatch function, its answers become responses.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import anyio

from remora.errors import Code, DeadlineExceeded, MessageTooLarge, PluginError, RemoraError, WireError, WrongProtocol
from remora.io._loop import loop_clock
from remora.io._outbox import Outbox
from remora.wire import (
    CANCEL,
    DEFAULT_MAX_MESSAGE_SIZE,
    REQUEST,
    RESPONSE,
    Frame,
    FrameDecoder,
    Oversize,
    decode_request,
    encode_error,
    encode_frame,
    encode_reply,
)

if TYPE_CHECKING:
    from remora.io._pipe import BytePipe
    from remora.protocols import Dispatch
    from remora.types import Call

_log = logging.getLogger(__name__)

_CLOSING_TIME = 2.0
_GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


async def serve_ttrpc(
    stream: BytePipe, dispatch: Dispatch, peer: str, *, max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE
) -> None:
    """
    Answer the calls that arrive over a stream until the peer closes it; then cancel what is unanswered, and close it.
    """
    connection = _Connection(stream, dispatch, peer, max_message_size)
    try:
        await connection.run()
    finally:
        with anyio.move_on_after(_CLOSING_TIME, shield=True):
            await stream.aclose()


class _Connection:
    def __init__(self, stream: BytePipe, dispatch: Dispatch, peer: str, max_message_size: int) -> None:
        self._stream = stream
        self._dispatch = dispatch
        self._peer = peer
        self._limit = max_message_size
        self._decoder = FrameDecoder(max_message_size=max_message_size)
        self._outbox = Outbox(stream)
        self._clock = loop_clock()
        self._scopes: dict[int, anyio.CancelScope] = {}
        self._tasks = anyio.create_task_group()

    async def run(self) -> None:
        async with self._tasks:
            self._tasks.start_soon(self._write)
            try:
                await self._read()
            except (WireError, WrongProtocol) as error:
                _log.warning("closing the connection of %s: %s", self._peer, error)
            except _GONE:
                _log.debug("the connection of %s has ended", self._peer)
            self._tasks.cancel_scope.cancel()

    async def _write(self) -> None:
        try:
            await self._outbox.write()
        except _GONE:
            self._tasks.cancel_scope.cancel()

    async def _read(self) -> None:
        while True:
            self._decoder.feed(await self._stream.receive())
            self._outbox.received()
            while (frame := self._decoder.next_frame()) is not None:
                self._take(frame)
            await self._outbox.wait_for_room()

    def _take(self, frame: Frame | Oversize) -> None:
        if isinstance(frame, Oversize):
            if frame.kind == REQUEST:
                self._refuse_oversize(frame)
        elif frame.kind == REQUEST:
            self._accept(frame)
        elif frame.kind == CANCEL and (scope := self._scopes.get(frame.stream_id)) is not None:
            scope.cancel()

    def _refuse_oversize(self, frame: Oversize) -> None:
        self._answer(
            frame.stream_id,
            encode_error(MessageTooLarge(f"the request has {frame.size} bytes; {self._limit} are allowed")),
        )

    def _accept(self, frame: Frame) -> None:
        try:
            call = decode_request(frame.message, self._clock())
            self._check_number(frame.stream_id)
        except ValueError as error:
            refusal = PluginError(f"the request is no ttrpc request: {error}", code=Code.INVALID_ARGUMENT)
            self._answer(frame.stream_id, encode_error(refusal))
            return
        scope = anyio.CancelScope(deadline=math.inf if call.deadline is None else call.deadline)
        self._scopes[frame.stream_id] = scope
        self._tasks.start_soon(self._handle, frame.stream_id, call, scope)

    def _check_number(self, number: int) -> None:
        if number % 2 == 0:
            raise ValueError("a client's stream numbers are odd")
        if number in self._scopes:
            raise ValueError(f"stream {number} is in use")

    async def _handle(self, number: int, call: Call, scope: anyio.CancelScope) -> None:
        message: bytes | None = None
        try:
            with scope:
                message = await self._ask(call)
        finally:
            del self._scopes[number]
        if message is None and scope.deadline <= self._clock():
            message = encode_error(DeadlineExceeded("the plugin ran out of time"))
        if message is not None:
            self._answer(number, message)

    async def _ask(self, call: Call) -> bytes:
        try:
            message = encode_reply(await self._dispatch(call, self._peer))
        except RemoraError as error:
            message = _encode_error(error)
        except Exception:  # of the served plugin; what it says is for its own log, not for the caller
            _log.exception("%s failed", call.name)
            message = encode_error(PluginError("internal error", code=Code.INTERNAL))
        if len(message) > self._limit:
            return encode_error(MessageTooLarge(f"the reply has {len(message)} bytes; {self._limit} are allowed"))
        return message

    def _answer(self, number: int, message: bytes) -> None:
        self._outbox.put(encode_frame(number, RESPONSE, message))


def _encode_error(error: RemoraError) -> bytes:
    try:
        return encode_error(error)
    except ValueError:  # its text is no valid Unicode
        return encode_error(PluginError(ascii(error.message), code=error.code))
