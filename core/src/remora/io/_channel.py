"""
The client's side of a ttrpc connection: many concurrent calls over one stream of bytes.

Three tasks serve a channel: one reads, one writes, one watches the deadlines. They run in a task group of `open_ttrpc`,
shielded from the cancellation of the channel's owner, because they are ended in order: first the stream is closed, then
what still waits for it is cancelled.
"""

from __future__ import annotations

import math
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from remora.errors import (
    ConnectionLost,
    DeadlineExceeded,
    InvalidRequest,
    MessageTooLarge,
    RemoraError,
    WireError,
    WrongProtocol,
)
from remora.io._deadlines import Timer
from remora.io._landing import next_room
from remora.io._lone import lone_reading
from remora.io._loop import loop_clock, waiters
from remora.io._outbox import Outbox
from remora.io._outcome import outcome, tell
from remora.io._parts import size_of
from remora.io._pipe import pump
from remora.io._probe import probe_health
from remora.io._tasks import background_tasks
from remora.wire import (
    CANCEL,
    DEFAULT_MAX_MESSAGE_SIZE,
    LARGE,
    REQUEST,
    RESPONSE,
    FrameDecoder,
    StreamTable,
    encode_frame,
    encode_request,
    frame_parts,
    lift_from_response,
    request_parts,
    too_large,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from remora.io._loop import Waiter
    from remora.io._pipe import BytePipe
    from remora.types import Call, HealthStatus, Reply

_CLOSING_TIME = 2.0
_LAST_WORDS = 1.0
_NOBODY = (None, 0.0)
_GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


@asynccontextmanager
async def open_ttrpc(
    stream: BytePipe, *, max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE
) -> AsyncIterator[TtrpcChannel]:
    """
    A channel over a connected stream. Leaving the context closes the stream; calls in flight fail with ConnectionLost.
    """
    channel = TtrpcChannel(stream, max_message_size=max_message_size)
    async with background_tasks() as tasks:
        for task in (channel.read, channel.write, channel.watch):
            tasks.start_soon(_run_within, channel.scope(), task)
        try:
            yield channel
        finally:
            await channel.aclose()


async def _run_within(scope: anyio.CancelScope, task: Callable[[], Awaitable[None]]) -> None:
    with scope:
        await task()


class TtrpcChannel:
    """
    Sends calls to a peer over one connection. Created by `open_ttrpc`.
    """

    def __init__(
        self,
        stream: BytePipe,
        *,
        max_message_size: int = DEFAULT_MAX_MESSAGE_SIZE,
        streams: StreamTable[Waiter] | None = None,
    ) -> None:
        self._stream = stream
        self._limit = max_message_size
        self._decoder = FrameDecoder(max_message_size=max_message_size)
        self._streams: StreamTable[Waiter] = StreamTable() if streams is None else streams
        self._timer = Timer(self._streams)
        self._outbox = Outbox(stream, self._streams)
        self._clock = loop_clock()
        self._waiter = waiters()
        self._lone = lone_reading(stream, self._arrived, self._is_alone)
        self._scopes: list[anyio.CancelScope] = []
        self._read_to_end = anyio.Event()
        self._ended = anyio.Event()
        self._is_over = False  # the same as `_ended`, but cheaper to read
        self._cause: RemoraError | None = None

    async def call(self, call: Call) -> Reply:
        """
        The peer's reply to a call. The call's deadline is enforced here.
        """
        message = self._encode(call)
        if self._is_over:
            raise self._loss(sent=False)
        answered, deadline = self._waiter(), call.deadline
        number = self._streams.open(answered, math.inf if deadline is None else deadline)
        if isinstance(message, bytes):
            self._outbox.put(encode_frame(number, REQUEST, message), number)
        else:
            self._outbox.put(frame_parts(number, REQUEST, message), number)
        if deadline is not None and deadline < self._timer.due:
            self._timer.hurry()
        try:
            if self._lone is not None and self._lone.claim():
                await self._lone.read_until(answered)
            answer = await answered
        except BaseException:
            self._abandon(number)
            raise
        return outcome(answer, call.content_type)

    async def probe(self) -> HealthStatus:
        """
        The peer's health, as its standard health service reports it.
        """
        return await probe_health(self.call)

    async def wait_closed(self) -> RemoraError | None:
        """
        Wait until the connection has ended.

        Returns:
            The cause; None when it was closed in an orderly way.
        """
        await self._ended.wait()
        return self._cause

    def _encode(self, call: Call) -> bytes | tuple[bytes, bytes, bytes]:
        """
        The encoded request for a call; a large one in parts.
        """
        now = self._clock()
        if call.deadline is not None and call.deadline <= now:
            raise DeadlineExceeded("the time was over before the call was sent", sent=False)
        try:
            if len(call.payload) >= LARGE:
                return self._parts(call, now)
            message = encode_request(call, now)
        except ValueError as error:
            raise InvalidRequest(f"the call cannot be written as ttrpc: {error}") from error
        if len(message) > self._limit:
            raise too_large("request", self._limit, sent=False)
        return message

    def _parts(self, call: Call, now: float) -> tuple[bytes, bytes, bytes]:
        parts = request_parts(call, now)
        if size_of(parts) > self._limit:
            raise too_large("request", self._limit, sent=False)
        return parts

    def _abandon(self, number: int) -> None:
        """
        Forget a call whose caller has gone, and cancel it at the peer. Does nothing for one that has ended.
        """
        if self._close(number) is not None and not self._outbox.withdraw(number):
            self._outbox.put(encode_frame(number, CANCEL))

    def _expire(self, number: int) -> None:
        if (waiter := self._close(number)) is None:
            return
        unsent = self._outbox.withdraw(number)
        tell(waiter, DeadlineExceeded(f"the time was over before the reply arrived{self._doubt()}", sent=not unsent))
        if not unsent:
            self._outbox.put(encode_frame(number, CANCEL))
        if self._lone is not None:
            self._lone.interrupt()

    def _is_alone(self) -> bool:
        return self._outbox.may_send_now and not (self._streams or self._is_over)

    def _close(self, number: int) -> Waiter | None:
        waiter, _ = self._streams.pop(number, _NOBODY)
        self._retire()
        return waiter

    def _retire(self) -> None:
        """
        End the connection after its last call, if it has no number for another one.
        """
        if self._streams.is_exhausted and not self._streams:
            self._end(None)

    async def read(self) -> None:
        """
        Pass arriving replies to their callers, until the connection ends.
        """
        try:
            await pump(self._stream, self._arrived, None if self._lone is None else self._lone.hold)
        except (WireError, WrongProtocol) as error:
            self._end(error)
        except _GONE as error:
            self._end(self._explain(error))
        finally:
            self._read_to_end.set()

    def _arrived(self, data: bytes | memoryview) -> int:
        frames = 0
        close = self._streams.pop
        for number, kind, message in self._decoder.frames(data):
            frames += 1
            if kind == RESPONSE and (waiter := close(number, _NOBODY)[0]) is not None and not waiter.done():
                waiter.set_result(message if isinstance(message, bytes) else self._unusual(message))
        if self._streams.is_exhausted:
            self._retire()
        self._outbox.may_send_now = frames == 1  # several callers wake: their next calls are written in one go
        return next_room(len(data), frames)

    def _unusual(self, message: memoryview | int) -> tuple[bytes, bytes] | MessageTooLarge:
        """
        The answer in a large response, or in the size of one that is larger than allowed.
        """
        if isinstance(message, int):
            return too_large("reply", self._limit)
        return lift_from_response(message)

    def _explain(self, error: Exception) -> RemoraError | None:
        if self._is_over or (isinstance(error, anyio.EndOfStream) and self._is_quiet()):
            return None
        lost = ConnectionLost(f"the peer closed the connection{self._doubt()}")
        lost.__cause__ = error
        return lost

    def _doubt(self) -> str:
        return "" if self._decoder.has_spoken else "; the peer has answered nothing yet: does it speak ttrpc?"

    def _is_quiet(self) -> bool:
        return not self._streams and self._decoder.is_between_frames

    async def write(self) -> None:
        """
        Write what is queued, until the connection ends.
        """
        try:
            await self._outbox.write()
        except _GONE as error:
            with anyio.move_on_after(_LAST_WORDS):  # what the peer sent before it closed explains more
                await self._ended.wait()
            self._end(self._explain(error))

    async def watch(self) -> None:
        """
        End the calls whose deadlines have passed, until cancelled.
        """
        await self._timer.watch(self._expire)

    def _end(self, cause: RemoraError | None) -> None:
        if self._is_over:
            return
        self._cause = cause
        self._is_over = True
        self._ended.set()
        waiting = list(self._streams.items())
        self._streams.clear()
        for number, (waiter, _) in waiting:
            tell(waiter, self._loss(sent=not self._outbox.withdraw(number)))
        if self._lone is not None:
            self._lone.interrupt()

    def _loss(self, *, sent: bool) -> RemoraError:
        if self._cause is None:
            return ConnectionLost("the connection is closed", sent=sent)
        error = type(self._cause)(self._cause.message)
        error.sent = sent
        error.__cause__ = self._cause
        return error

    def scope(self) -> anyio.CancelScope:
        """
        A shielded cancel scope that is cancelled when the channel is closed.
        """
        scope = anyio.CancelScope(shield=True)
        self._scopes.append(scope)
        return scope

    async def aclose(self) -> None:
        """
        Fail the calls in flight, close the stream, then end the tasks.
        """
        self._end(None)
        with anyio.move_on_after(_CLOSING_TIME, shield=True):
            await self._stream.aclose()
            await self._read_to_end.wait()
        for scope in self._scopes:
            scope.cancel()
