"""
The host's side of `oneshot`: a process for every call, JSON in, JSON out.
"""

from __future__ import annotations

import math
import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio

from remora.errors import (
    Code,
    DeadlineExceeded,
    InvalidReply,
    MessageTooLarge,
    PluginError,
    Unavailable,
)
from remora.types import HealthStatus, Reply, Status
from remora.wire import load_json, quote, require_json
from remora_exec._command import require_descriptors
from remora_exec._output import Output
from remora_exec._pending import time_left
from remora_exec._pipes import pipes
from remora_exec._process import describe_exit, running
from remora_exec._tasks import background
from remora_exec._trace_variables import to_variables

if TYPE_CHECKING:
    from remora.errors import RemoraError
    from remora.types import Call
    from remora_exec._command import Command
    from remora_exec._launch_context import LaunchContext
    from remora_exec._pipes import ReadPipe, WritePipe
    from remora_exec._process import Process
    from remora_exec.plugin import ExecOptions

_OUTPUT_AFTER_EXIT = 0.25
_MESSAGE_LINES = 5


class OneshotChannel:
    """
    A channel to a program that is run once per call.
    """

    def __init__(self, command: Command, context: LaunchContext, instance: str, options: ExecOptions) -> None:
        self._command = command
        self._context = context
        self._instance = instance
        self._plugin = options.name
        self._max_size = options.max_message_size

    async def call(self, call: Call) -> Reply:
        """
        Run the program for a call; cancellation and the deadline kill it and all processes that it started.
        """
        self._require_fit(call)
        time_left(call)  # raises when no time is left
        sent = False
        with anyio.CancelScope(deadline=math.inf if call.deadline is None else call.deadline):
            command, sent = self._command.with_env(_call_env(call)), True
            return await self._run(command, call.payload or b"null")
        raise DeadlineExceeded("the process did not answer in time", sent=sent)

    async def probe(self) -> HealthStatus:
        """
        Healthy while the program exists and can be executed.
        """
        if not os.access(self._command.program, os.X_OK):
            raise Unavailable(f"{self._command.program} is not there, or not executable", sent=False)
        return HealthStatus(status=Status.HEALTHY, message="ready to be run", last_check=time.time())

    def _require_fit(self, call: Call) -> None:
        require_json(call)
        if len(call.payload) > self._max_size:
            message = f"the request is {len(call.payload)} bytes, the limit is {self._max_size}"
            raise MessageTooLarge(message, sent=False)

    async def _run(self, command: Command, payload: bytes) -> Reply:
        output = Output(self._plugin, self._instance)
        require_descriptors(command)
        with pipes() as (their_input, their_output, stdin, stdout):
            async with (
                background() as tasks,
                running(command, self._context, output, stdin=their_input, stdout=their_output) as process,
            ):
                answer = _Answer(process, self._max_size)
                tasks.start(lambda: _write(stdin, payload))
                tasks.start(lambda: answer.read(stdout))
                await process.wait()
                await answer.settle()
        return answer.reply(output)


class _Answer:
    """
    The answer of a process: what it writes to its standard output, and how it ends.
    """

    def __init__(self, process: Process, max_size: int) -> None:
        self._process = process
        self._max_size = max_size
        self._data = bytearray()
        self._ended = anyio.Event()

    async def read(self, stdout: ReadPipe) -> None:
        while data := await stdout.receive():
            if len(self._data) <= self._max_size:
                self._data += data
            else:
                self._process.signal_group(signal.SIGKILL)
        self._ended.set()

    async def settle(self) -> None:
        """
        Wait for the rest of the output, but only briefly if descendants keep it open.
        """
        with anyio.move_on_after(_OUTPUT_AFTER_EXIT):
            await self._ended.wait()

    def reply(self, output: Output) -> Reply:
        """
        The reply to the call, or its error.
        """
        if len(self._data) > self._max_size:
            raise MessageTooLarge(f"the reply has more than {self._max_size} bytes")
        if self._process.exit_status != 0:
            raise _failure(self._process, output)
        data = bytes(self._data.strip())
        try:
            load_json(data)
        except ValueError as error:
            raise InvalidReply(f"the process wrote something other than a JSON value: {quote(data)}") from error
        return Reply(payload=data)


def _failure(process: Process, output: Output) -> RemoraError:
    status = process.exit_status
    if status is None or status < 0:
        return process.died()
    words = " | ".join(output.last_lines[-_MESSAGE_LINES:])
    code = Code.UNAVAILABLE if status == os.EX_TEMPFAIL else Code.UNKNOWN
    return PluginError(f"the process {describe_exit(status)}" + (f": {words}" if words else ""), code=code)


async def _write(stdin: WritePipe, payload: bytes) -> None:
    # A program need not read its input.
    with suppress(OSError):
        await stdin.send(payload)
    stdin.close()


def _call_env(call: Call) -> dict[str, str]:
    env = {
        "REMORA_SERVICE": call.service,
        "REMORA_METHOD": call.method,
        "REMORA_REQUEST_ID": call.request_id,
        **to_variables(call.headers),
    }
    if (left := time_left(call)) is not None:
        env["REMORA_TIMEOUT_MS"] = str(max(1, round(left * 1000)))
    return env
