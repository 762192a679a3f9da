"""
The plugin's side of `jsonl`: lines become calls of the dispatch function, its answers become lines.

At the end of input the calls in hand may finish, for a moment: somebody may have piped a file of requests in.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import anyio

from remora.errors import Code, DeadlineExceeded, InvalidRequest, MessageTooLarge, PluginError, RemoraError, WireError
from remora.io import background_tasks
from remora.wire import (
    JsonCancel,
    JsonLines,
    JsonRequest,
    Noise,
    Overlong,
    decode_json_request,
    encode_json_error,
    encode_json_reply,
    printable,
    quote,
)
from remora_exec._lines import LineQueue

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from remora.protocols import Dispatch
    from remora.types import Call
    from remora_exec._pipes import ReadPipe, WritePipe

_logger = logging.getLogger(__name__)

_LAST_ANSWERS = 3.0


async def serve_jsonl(reader: ReadPipe, writer: WritePipe, dispatch: Dispatch, peer: str, *, max_size: int) -> None:
    """
    Answer the calls that arrive until the end of input.
    """
    queue = LineQueue(writer)
    async with background_tasks() as tasks:
        server = _Server(queue, dispatch, peer, max_size, tasks)
        tasks.start_soon(queue.write)
        await server.read(reader)
        with anyio.move_on_after(_LAST_ANSWERS):
            await server.wait_idle()
            await queue.flush()


class _Server:
    def __init__(self, queue: LineQueue, dispatch: Dispatch, peer: str, max_size: int, tasks: TaskGroup) -> None:
        self._queue = queue
        self._dispatch = dispatch
        self._peer = peer
        self._max_size = max_size
        self._tasks = tasks
        self._lines = JsonLines(max_size=max_size)
        self._scopes: dict[int | str, anyio.CancelScope] = {}
        self._idle = anyio.Event()

    async def read(self, reader: ReadPipe) -> None:
        try:
            while data := await reader.receive():
                self._lines.feed(data)
                self._take_lines()
            self._lines.feed_eof()
            self._take_lines()
        except WireError as error:
            _logger.error("the host broke the protocol: %s", error)

    async def wait_idle(self) -> None:
        while self._scopes:
            await self._idle.wait()

    def _take_lines(self) -> None:
        while (line := self._lines.next_message()) is not None:
            if isinstance(line, Noise):
                _logger.warning("ignored a line that is no JSON object: %s", quote(line.line))
            elif isinstance(line, Overlong):
                self._refuse_overlong(line)
            else:
                self._take_message(line)

    def _refuse_overlong(self, line: Overlong) -> None:
        message = f"the request is a line of {line.size} bytes, the limit is {self._max_size}"
        if line.id is None:
            _logger.warning("%s; its id cannot be told", message)
        else:
            self._queue.add(encode_json_error(line.id, MessageTooLarge(message)))

    def _take_message(self, line: dict[str, object]) -> None:
        try:
            message = decode_json_request(line)
        except ValueError as error:
            self._refuse(line.get("id"), f"the payload cannot be read: {error}")
            return
        if isinstance(message, JsonCancel):
            if scope := self._scopes.get(message.id):
                scope.cancel()
        elif message is None:
            _logger.warning("ignored an object that is no request")
        elif message.id in self._scopes:
            self._refuse(message.id, f"there is a call {message.id!r} in flight")
        else:
            self._accept(message)

    def _refuse(self, id_: object, reason: str) -> None:
        if isinstance(id_, int | str):
            self._queue.add(encode_json_error(id_, InvalidRequest(reason)))

    def _accept(self, request: JsonRequest) -> None:
        deadline = None if request.timeout is None else anyio.current_time() + request.timeout
        scope = anyio.CancelScope(deadline=math.inf if deadline is None else deadline)
        self._scopes[request.id] = scope
        self._tasks.start_soon(self._handle, request.id, request.with_deadline(deadline), scope)

    async def _handle(self, id_: int | str, call: Call, scope: anyio.CancelScope) -> None:
        line: bytes | None = None
        with scope:
            line = await self._ask(id_, call)
        self._scopes.pop(id_)
        if line is None and scope.deadline <= anyio.current_time():
            line = encode_json_error(id_, DeadlineExceeded("the plugin ran out of time"))
        if line is not None:
            self._queue.add(line)
        if not self._scopes:
            self._idle.set()
            self._idle = anyio.Event()

    async def _ask(self, id_: int | str, call: Call) -> bytes:
        try:
            return encode_json_reply(id_, await self._dispatch(call, self._peer), max_size=self._max_size)
        except RemoraError as error:
            return encode_json_error(id_, error)
        except Exception:  # of the served plugin; what it says is for its own log, not for the caller
            _logger.exception("%s failed", printable(call.name, most=200))
            return encode_json_error(id_, PluginError("internal error", code=Code.INTERNAL))
