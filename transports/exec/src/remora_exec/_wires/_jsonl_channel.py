"""
The host's side of `jsonl`: many calls in flight over the pipes of one child.

There is no handshake: a child that runs is ready. Lines on its standard output that are not JSON objects are logged as
output of the plugin and otherwise ignored, because a script may print a banner. But a program that never answers and
only prints text is not a plugin: after twenty such lines before the first answer, or a thousand in a row later, the
channel ends with an error that quotes the last of them.
"""

from __future__ import annotations

import itertools
import logging
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from remora.errors import (
    ConnectionLost,
    DeadlineExceeded,
    InvalidReply,
    RemoraError,
    Unavailable,
    WireError,
    WrongProtocol,
)
from remora.types import HealthStatus, Reply, Status
from remora.wire import (
    JsonLines,
    Noise,
    Overlong,
    decode_json_answer,
    encode_json_cancel,
    encode_json_request,
    quote,
    too_large,
)
from remora_exec._pipes import pipes
from remora_exec._tasks import background
from remora_exec._wires._lines import LineQueue
from remora_exec._wires._pending import Pending, time_left
from remora_exec._wires._process import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from remora.types import Call, Inspection
    from remora_exec._command import Command
    from remora_exec._launch_context import LaunchContext
    from remora_exec._pipes import ReadPipe, WritePipe
    from remora_exec._wires._output import Output
    from remora_exec._wires._process import Process
    from remora_exec.plugin import ExecOptions

_logger = logging.getLogger(__name__.replace("_", ".", 1))

_NOISE_BEFORE_FIRST_ANSWER = 20
_NOISE_IN_A_ROW = 1000
_EXIT_AFTER_LOSS = 1.0
_OUTPUT_AFTER_EXIT = 0.25
_FLUSH = 0.25
_LONGEST_ID = 20


@asynccontextmanager
async def open_jsonl(
    command: Command, context: LaunchContext, output: Output, options: ExecOptions
) -> AsyncIterator[JsonlChannel]:
    """
    A child that speaks JSON lines, for as long as the context lasts.
    """
    with pipes() as (their_input, their_output, stdin, stdout):
        # The tasks are outside, since what the child still writes while it is being stopped must be read.
        async with (
            background() as tasks,
            running(command, context, output, stdin=their_input, stdout=their_output) as process,
        ):
            process.graces = (options.stop_grace, options.term_grace)
            queue = LineQueue(stdin)
            channel = JsonlChannel(process, queue, output, max_size=options.max_message_size)
            tasks.start(channel.write)
            tasks.start(lambda: channel.read(stdout))
            tasks.start(channel.watch)
            try:
                yield channel
            finally:
                await _end_input(channel, queue, stdin)
                if channel.is_hopeless:
                    process.graces = ()


async def _end_input(channel: JsonlChannel, queue: LineQueue, stdin: WritePipe) -> None:
    channel.end(lambda sent: Unavailable("the channel is closed", sent=sent))
    with anyio.CancelScope(shield=True), anyio.move_on_after(_FLUSH):
        await queue.flush()
    stdin.close()


class JsonlChannel:
    """
    A channel to a child that speaks JSON lines.
    """

    def __init__(self, process: Process, queue: LineQueue, output: Output, *, max_size: int) -> None:
        self._process = process
        self._queue = queue
        self._output = output
        self._max_size = max_size
        self._lines = JsonLines(max_size=max_size)
        self._ids = itertools.count(1)
        self._pending: dict[int, Pending] = {}
        self._noise = 0
        self._noise_limit = _NOISE_BEFORE_FIRST_ANSWER
        self._why: Callable[[bool], RemoraError] | None = None
        self._ended = anyio.Event()

    @property
    def is_hopeless(self) -> bool:
        """
        Whether the process has turned out not to speak the protocol; then it is killed at once.
        """
        return self._why is not None and isinstance(self._why(True), WireError | WrongProtocol)

    @property
    def pid(self) -> int:
        """
        The id of the process.
        """
        return self._process.pid

    async def call(self, call: Call) -> Reply:
        """
        Send a call and wait for the answer, until the call's deadline at the latest.
        """
        self._require_open()
        id_ = next(self._ids)
        line = encode_json_request(id_, call, time_left(call), max_size=self._max_size)
        pending = self._pending[id_] = Pending()
        self._queue.add(line)
        sent = True
        try:
            outcome = await pending.wait(call.deadline)
        finally:
            del self._pending[id_]
            if pending.outcome is None:
                sent = self._call_off(id_, line)
        if outcome is None:
            raise DeadlineExceeded("the plugin did not answer in time", sent=sent)
        if isinstance(outcome, RemoraError):
            raise outcome
        return outcome

    async def probe(self) -> HealthStatus:
        """
        Healthy while the process runs, since a script has no health service.
        """
        self._require_open()
        return HealthStatus(status=Status.HEALTHY, message="the process runs", last_check=time.time())

    async def wait_closed(self) -> RemoraError | None:
        """
        Wait until the process has ended, or the channel cannot be used any more.
        """
        await self._ended.wait()
        return self._why(True) if self._why is not None else None

    async def read(self, stdout: ReadPipe) -> None:
        """
        Hand out answers until the output ends.
        """
        try:
            while data := await stdout.receive():
                self._lines.feed(data)
                self._take_lines()
            self._lines.feed_eof()
            self._take_lines()
        except WireError as error:
            message = error.message
            self._take_lines()
            self.end(lambda sent: WireError(message))
            await _discard(stdout)
        await self._lose("output")

    async def write(self) -> None:
        """
        Write requests until nobody reads them any more: no later call would be answered.
        """
        await self._queue.write()
        if self._why is None:
            await self._lose("input")

    async def _lose(self, stream: str) -> None:
        """
        End the calls because a stream of the process has ended, as has probably the process.
        """
        if await self._process.ends_within(_EXIT_AFTER_LOSS):
            self.end(lambda sent: self._process.died(sent=sent))
        self._process.end_soon()
        self.end(lambda sent: ConnectionLost(f"the process closed its standard {stream}", sent=sent))

    async def next_review(self) -> Inspection:
        """
        Wait until the program would no longer be allowed to start, or is allowed again.
        """
        return await self._process.admission.next_review()

    async def watch(self) -> None:
        """
        End the calls soon after the process has ended, even if its output is still held open.
        """
        await self._process.wait()
        with anyio.move_on_after(_OUTPUT_AFTER_EXIT):
            await self._ended.wait()
        self.end(lambda sent: self._process.died(sent=sent))

    def end(self, why: Callable[[bool], RemoraError]) -> None:
        """
        Fail all calls in flight and all later ones; the first reason counts.

        Args:
            why: Makes the error for one call, given whether its request may have reached the plugin.
        """
        if self._why is not None:
            return
        self._why = why
        for pending in self._pending.values():
            pending.settle(why(True))
        self._ended.set()

    def _require_open(self) -> None:
        if self._why is not None:
            raise self._why(False)

    def _call_off(self, id_: int, line: bytes) -> bool:
        if self._queue.withdraw(line):
            return False
        self._queue.add(encode_json_cancel(id_))
        return True

    def _take_lines(self) -> None:
        while (line := self._lines.next_message()) is not None:
            if isinstance(line, Noise) and line.id in self._pending:
                self._settle(line.id, InvalidReply(f"the answer is not JSON: {line.why}"))
            elif isinstance(line, Noise):
                self._take_noise(line.line)
            elif isinstance(line, Overlong):
                self._take_overlong(line)
            elif (answer := decode_json_answer(line)) is not None:
                self._noise, self._noise_limit = 0, _NOISE_IN_A_ROW
                self._settle(answer.id, answer.outcome)
            else:
                self._take_noise(repr(line).encode())

    def _take_noise(self, line: bytes) -> None:
        self._noise += 1
        if self._why is None:
            self._output.stray(line)
        if self._noise < self._noise_limit:
            return
        error = WrongProtocol if self._noise_limit == _NOISE_BEFORE_FIRST_ANSWER else WireError
        self.end(lambda sent: error(f"the process does not speak JSON lines; it wrote {quote(line)}"))

    def _take_overlong(self, line: Overlong) -> None:
        id_ = line.id if line.id is not None or len(self._pending) != 1 else next(iter(self._pending))
        if id_ is None:
            _logger.warning("dropped a line of %d bytes whose call cannot be told", line.size)
        else:
            self._settle(id_, too_large("reply", self._max_size))

    def _settle(self, id_: int | str, outcome: Reply | RemoraError) -> None:
        if isinstance(id_, str) and id_.isdecimal() and len(id_) < _LONGEST_ID:  # else it would run out of time
            id_, outcome = int(id_), InvalidReply(f'the answer has the text "{id_}" as its id, not the number {id_}')
        pending = self._pending.get(id_) if isinstance(id_, int) else None
        if pending is None:
            _logger.debug("dropped an answer to call %r, which nobody waits for", id_)
        else:
            pending.settle(outcome)


async def _discard(stdout: ReadPipe) -> None:
    while await stdout.receive():
        pass
