"""
The plugin's side of `jsonl`: lines become calls of the dispatch function, its answers become lines.

At end of input, calls under way get a moment to finish, since the input may be a file of requests.
"""

from __future__ import annotations

import logging
from itertools import count
from typing import TYPE_CHECKING

import anyio

from remora.errors import Code, InvalidRequest, PluginError, RemoraError, WireError
from remora.io import Deadlines, ServedCall, WorkerPool, background_tasks, loop_clock
from remora.wire import (
    JsonCancel,
    JsonLines,
    JsonRequest,
    Noise,
    Overlong,
    decode_json_request,
    encode_json_error,
    encode_json_reply,
    json_id,
    printable,
    quote,
    too_large,
    unsendable,
)
from remora_exec._wires._lines import LineQueue

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from remora.protocols import Dispatch
    from remora.types import Call
    from remora_exec._pipes import ReadPipe, WritePipe

_logger = logging.getLogger(__name__.replace("_", ".", 1))

_LAST_ANSWERS = 3.0


async def serve_jsonl(reader: ReadPipe, writer: WritePipe, dispatch: Dispatch, peer: str, *, max_size: int) -> None:
    """
    Answer the calls that arrive until the end of input.
    """
    queue = LineQueue(writer)
    async with background_tasks() as tasks:
        server = _Server(queue, dispatch, peer, max_size, tasks)
        tasks.start_soon(queue.write)
        tasks.start_soon(server.keep_time)
        await server.read(reader)
        with anyio.move_on_after(_LAST_ANSWERS):
            await server.wait_idle()
            await queue.flush()


class _Request(ServedCall):
    """
    A call that is being answered.

    Attributes:
        id: The host's identifier of the call.
    """

    __slots__ = ("id",)

    def __init__(self, id_: int | str, number: int, call: Call) -> None:
        super().__init__(number, call)
        self.id = id_


class _Server:
    def __init__(self, queue: LineQueue, dispatch: Dispatch, peer: str, max_size: int, tasks: TaskGroup) -> None:
        self._queue = queue
        self._answer: Dispatch = getattr(dispatch, "answer_in_time", dispatch)
        self._peer = peer
        self._max_size = max_size
        self._lines = JsonLines(max_size=max_size)
        self._clock = loop_clock()
        self._numbers = count()
        self._requests: dict[int | str, _Request] = {}
        self._by_number: dict[int, _Request] = {}
        self._deadlines = Deadlines()
        self._workers = WorkerPool(tasks, self._handle)
        self._idle = anyio.Event()

    async def keep_time(self) -> None:
        await self._deadlines.watch(self._expire)

    async def read(self, reader: ReadPipe) -> None:
        try:
            while data := await reader.receive():
                self._lines.feed(data)
                self._take_lines()
                await self._queue.wait_for_room()
            self._lines.feed_eof()
            self._take_lines()
        except WireError as error:
            _logger.error("the host broke the protocol: %s", error)

    async def wait_idle(self) -> None:
        while self._requests:
            await self._idle.wait()

    def _take_lines(self) -> None:
        while (line := self._lines.next_message()) is not None:
            if isinstance(line, Noise) and line.id is not None:
                self._refuse(line.id, f"the request is not JSON: {line.why}")
            elif isinstance(line, Noise):
                _logger.warning("ignored a line that is not a JSON object: %s", quote(line.line))
            elif isinstance(line, Overlong):
                self._refuse_overlong(line)
            else:
                self._take_message(line)

    def _refuse_overlong(self, line: Overlong) -> None:
        error = too_large("request", self._max_size)
        if line.id is None:
            _logger.warning("%s; its id cannot be told", error)
        else:
            self._queue.add(encode_json_error(line.id, error))

    def _take_message(self, line: dict[str, object]) -> None:
        try:
            message = decode_json_request(line)
        except ValueError as error:
            self._refuse(json_id(line.get("id")), f"the payload cannot be read: {error}")
            return
        if isinstance(message, JsonCancel):
            if request := self._requests.get(message.id):
                request.call_off()
        elif message is None:
            _logger.warning("ignored an object that is not a request")
        elif message.id in self._requests:
            self._refuse(message.id, f"there is a call {message.id!r} in flight")
        else:
            self._accept(message)

    def _refuse(self, id_: int | str | None, reason: str) -> None:
        if id_ is not None:
            self._queue.add(encode_json_error(id_, InvalidRequest(reason)))

    def _accept(self, message: JsonRequest) -> None:
        deadline = None if message.timeout is None else self._clock() + message.timeout
        request = _Request(message.id, next(self._numbers), message.with_deadline(deadline))
        self._requests[request.id] = self._by_number[request.number] = request
        if deadline is not None:
            self._deadlines.add(request.number, deadline)
        self._workers.add(request)

    def _expire(self, number: int) -> None:
        if (request := self._by_number.get(number)) is not None:
            request.expire()

    async def _handle(self, request: _Request) -> None:
        line: bytes | None = None
        try:
            if not request.is_off:
                line = await self._ask(request)
        finally:
            self._leave(request)
            if line is None or request.is_late:
                line = encode_json_error(request.id, error) if (error := request.last_words()) else None
            if line is not None:
                self._queue.add(line)

    def _leave(self, request: _Request) -> None:
        del self._requests[request.id], self._by_number[request.number]
        self._deadlines.discard(request.number)
        if not self._requests:
            self._idle.set()
            self._idle = anyio.Event()

    async def _ask(self, request: _Request) -> bytes:
        try:
            reply = await self._answer(request.call, self._peer)
            return encode_json_reply(request.id, reply, max_size=self._max_size)
        except RemoraError as error:
            return _encode_error(request, error)
        except Exception:  # of the served plugin; its text belongs in the plugin's log, not in the answer
            _logger.exception("%s failed", printable(request.call.name, most=200))
            return encode_json_error(request.id, PluginError("internal error", code=Code.INTERNAL))


def _encode_error(request: _Request, error: RemoraError) -> bytes:
    try:
        return encode_json_error(request.id, error)
    except Exception:  # a handler may have put anything into its error
        _logger.exception("the error of %s cannot be sent as it is", printable(request.call.name, most=200))
        return encode_json_error(request.id, unsendable(error))
