"""
The server's side of a ttrpc connection: requests become calls of a dispatch function, its answers become responses.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio

from remora._plain import printable
from remora.errors import Code, PluginError, RemoraError, WireError, WrongProtocol
from remora.io._deadlines import Deadlines
from remora.io._landing import next_room
from remora.io._loop import loop_clock
from remora.io._outbox import Outbox
from remora.io._parts import size_of
from remora.io._pipe import pump
from remora.io._served_call import ServedCall
from remora.io._worker_pool import WorkerPool
from remora.wire import (
    CANCEL,
    DEFAULT_MAX_MESSAGE_SIZE,
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
    too_large,
    unsendable,
)

if TYPE_CHECKING:
    from remora.io._parts import Bytes
    from remora.io._pipe import BytePipe
    from remora.protocols import Dispatch
    from remora.types import Call

_log = logging.getLogger(__name__)

_CLOSING_TIME = 2.0
_MOST_WORDS = 200
_GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


async def serve_ttrpc(
    stream: BytePipe, dispatch: Dispatch, peer: str, *, max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE
) -> None:
    """
    Answer the calls that arrive over a stream until the peer closes it; then cancel the rest, and close the stream.
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
        self._answer = getattr(dispatch, "answer_in_time", dispatch)
        self._peer = peer
        self._limit = max_message_size
        self._decoder = FrameDecoder(max_message_size=max_message_size)
        self._outbox = Outbox(stream)
        self._clock = loop_clock()
        self._requests: dict[int, ServedCall] = {}
        self._deadlines = Deadlines()
        self._tasks = anyio.create_task_group()
        self._workers = WorkerPool(self._tasks, self._handle)
        self._writing = anyio.CancelScope(shield=True)

    async def run(self) -> None:
        async with self._tasks:
            self._tasks.start_soon(self._write)
            self._tasks.start_soon(self._deadlines.watch, self._expire)
            try:
                await pump(self._stream, self._arrived, self._outbox.hold)
            except (WireError, WrongProtocol) as error:
                _log.warning("closing the connection of %s: %s", self._peer, error)
            except _GONE:
                _log.debug("the connection of %s has ended", self._peer)
            except anyio.get_cancelled_exc_class():
                await self._send_the_rest()
                raise
            finally:
                self._writing.cancel()
            self._tasks.cancel_scope.cancel()

    async def _write(self) -> None:
        with self._writing:
            try:
                await self._outbox.write()
            except _GONE:
                self._tasks.cancel_scope.cancel()

    async def _send_the_rest(self) -> None:
        """
        Send answers that are ready even when the plugin is being ended, if the peer takes them soon.
        """
        with anyio.move_on_after(_CLOSING_TIME, shield=True):
            await self._outbox.settle()

    def _arrived(self, data: bytes | memoryview) -> int:
        """
        An answer to a single request is written at once; those to many that arrived together are written together.
        """
        frames = 0
        for number, kind, message in self._decoder.frames(data):
            self._take(number, kind, message)
            frames += 1
        self._outbox.may_send_now = frames == 1
        return next_room(len(data), frames)

    def _take(self, number: int, kind: int, message: bytes | memoryview | int) -> None:
        if kind == REQUEST:
            if isinstance(message, int):
                self._respond(number, encode_error(too_large("request", self._limit)))
            else:
                self._accept(number, message)
        elif kind == CANCEL and (request := self._requests.get(number)) is not None:
            request.call_off()

    def _accept(self, number: int, message: bytes | memoryview) -> None:
        try:
            rest, payload = (message, b"") if isinstance(message, bytes) else lift_from_request(message)
            call = decode_request(rest, self._clock(), payload)
            self._check_number(number)
        except ValueError as error:
            refusal = PluginError(f"the request is not a ttrpc request: {error}", code=Code.INVALID_ARGUMENT)
            self._respond(number, encode_error(refusal))
            return
        self._requests[number] = request = ServedCall(number, call)
        if call.deadline is not None:
            self._deadlines.add(number, call.deadline)
        self._workers.add(request)

    def _check_number(self, number: int) -> None:
        if number % 2 == 0:
            raise ValueError("a client's stream numbers are odd")
        if number in self._requests:
            raise ValueError(f"stream {number} is in use")

    def _expire(self, number: int) -> None:
        if (request := self._requests.get(number)) is not None:
            request.expire()

    async def _handle(self, request: ServedCall) -> None:
        message: Bytes | None = None
        try:
            if not request.is_off:
                message = await self._ask(request.call)
        finally:
            del self._requests[request.number]
            self._deadlines.discard(request.number)
            if message is None or request.is_late:
                message = encode_error(error) if (error := request.last_words()) else None
            if message is not None:
                self._respond(request.number, message)

    async def _ask(self, call: Call) -> Bytes:
        message: Bytes
        try:
            reply = await self._answer(call, self._peer)
            message = encode_reply(reply) if len(reply.payload) < LARGE else reply_parts(reply)
        except RemoraError as error:
            message = _encode_error(error, call)
        except Exception:  # of the served plugin; its text belongs in the plugin's log, not in the answer
            _log.exception("%s failed", printable(call.name, most=_MOST_WORDS))
            message = encode_error(PluginError("internal error", code=Code.INTERNAL))
        if size_of(message) > self._limit:
            return encode_error(too_large("reply", self._limit))
        return message

    def _respond(self, number: int, message: Bytes) -> None:
        if isinstance(message, bytes):
            self._outbox.put(encode_frame(number, RESPONSE, message))
        else:
            self._outbox.put(frame_parts(number, RESPONSE, message))


def _encode_error(error: RemoraError, call: Call) -> bytes:
    try:
        return encode_error(error)
    except UnicodeEncodeError:
        return encode_error(PluginError(ascii(error.message), code=error.code))
    except Exception:  # a handler may have put anything into its error
        _log.exception("the error of %s cannot be sent as it is", printable(call.name, most=_MOST_WORDS))
        return encode_error(unsendable(error))
