"""
The host's side of `oneshot`: a process for every call, JSON in, JSON out.
"""

from __future__ import annotations

import math
import os
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from remora.errors import (
    Code,
    DeadlineExceeded,
    InvalidReply,
    InvalidRequest,
    MessageTooLarge,
    PluginError,
    Unavailable,
)
from remora.types import HealthStatus, Reply, Status
from remora.wire import load_json
from remora_exec._jsonl_channel import time_left
from remora_exec._output import Output, quote
from remora_exec._pipes import pipes
from remora_exec._process import describe_exit, running
from remora_exec._tasks import background

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from remora.errors import RemoraError
    from remora.types import Call
    from remora_exec._command import Command
    from remora_exec._keeper import Keeper
    from remora_exec._pipes import ReadPipe, WritePipe
    from remora_exec.plugin import ExecOptions

_TEMPORARY_FAILURE = 75
_OUTPUT_AFTER_EXIT = 0.25
_MESSAGE_LINES = 5


@asynccontextmanager
async def open_oneshot(
    command: Command, keeper: Keeper, instance: str, options: ExecOptions
) -> AsyncIterator[OneshotChannel]:
    """
    A program to be run per call, for as long as the context lasts.
    """
    yield OneshotChannel(command, keeper, instance, options)


class OneshotChannel:
    """
    The way to a program that is run once per call.
    """

    def __init__(self, command: Command, keeper: Keeper, instance: str, options: ExecOptions) -> None:
        self._command = command
        self._keeper = keeper
        self._instance = instance
        self._plugin = options.name
        self._max_size = options.max_message_size
        self._places = anyio.Semaphore(options.connection.max_connections)

    async def call(self, call: Call) -> Reply:
        """
        Run the program; a call that is cancelled or whose deadline passes kills it and all that it started.
        """
        self._require_fit(call)
        time_left(call)
        sent = False
        with anyio.CancelScope(deadline=math.inf if call.deadline is None else call.deadline):
            async with self._places:
                command = self._command.with_env(_call_env(call))
                sent = True
                return await self._run(command, call.payload or b"null")
        raise DeadlineExceeded("the process did not answer in time", sent=sent)

    async def probe(self) -> HealthStatus:
        """
        Healthy while the program is there to be run.
        """
        if not os.access(self._command.program, os.X_OK):
            raise Unavailable(f"{self._command.program} is not there, or not executable", sent=False)
        return HealthStatus(status=Status.HEALTHY, message="ready to be run", last_check=time.time())

    def _require_fit(self, call: Call) -> None:
        if call.content_type.partition(";")[0].strip() not in ("", "application/json"):
            raise InvalidRequest(f"this protocol carries application/json only, not {call.content_type!r}")
        if len(call.payload) > self._max_size:
            message = f"the request is {len(call.payload)} bytes, the limit is {self._max_size}"
            raise MessageTooLarge(message, sent=False)

    async def _run(self, command: Command, payload: bytes) -> Reply:
        output = Output(self._plugin, self._instance)
        with pipes() as (their_input, their_output, stdin, stdout):
            async with (
                background() as tasks,
                running(command, self._keeper, output, stdin=their_input, stdout=their_output) as process,
            ):
                answer = _Answer(stdout, self._max_size)
                tasks.start(lambda: _write(stdin, payload))
                tasks.start(answer.read)
                await answer.wait()
                if not answer.is_too_large:
                    await process.wait()
                status = process.exit_status
        return answer.reply(status, output)


class _Answer:
    """
    What a process writes to its standard output.
    """

    def __init__(self, stdout: ReadPipe, max_size: int) -> None:
        self._stdout = stdout
        self._max_size = max_size
        self._data = bytearray()
        self._ended = anyio.Event()
