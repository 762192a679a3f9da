"""
The host's side of `oneshot`: a process for every call, JSON in, JSON out.
"""

from __future__ import annotations

import math
import os
import time
from contextlib import closing
from typing import TYPE_CHECKING

import anyio

from remora.errors import (
    Code,
    DeadlineExceeded,
    InvalidReply,
    PluginError,
    Unavailable,
)
from remora.types import HealthStatus, Reply, Status
from remora.wire import load_json, quote, require_json, too_large
from remora_exec._command import require_descriptors
from remora_exec._pipes import pipes
from remora_exec._security._admission import reviewing
from remora_exec._wires._exchange import Exchange
from remora_exec._wires._output import Output
from remora_exec._wires._pending import time_left
from remora_exec._wires._process import describe_exit, died, end, started
from remora_exec._wires._trace_variables import to_variables

if TYPE_CHECKING:
    from remora.errors import RemoraError
    from remora.types import Call
    from remora_exec._command import Command
    from remora_exec._keeping._child import Child
    from remora_exec._launch_context import LaunchContext
    from remora_exec.plugin import ExecOptions

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
        command = self._command.with_env(_call_env(call))
        with anyio.CancelScope(deadline=math.inf if call.deadline is None else call.deadline):
            return await self._run(command, call.payload)
        raise DeadlineExceeded("the process did not answer in time", sent=True)

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
            raise too_large("request", self._max_size, sent=False)

    async def _run(self, command: Command, payload: bytes) -> Reply:
        require_descriptors(command)
        output = Output(self._plugin, self._instance)
        with pipes() as (their_input, their_output, stdin, stdout):
            child, verdict = await started(command, self._context, stdin=their_input, stdout=their_output)
            exchange = Exchange(child, stdin, stdout, output, self._max_size)
            with closing(child):
                async with reviewing(self._context.guard, verdict):
                    try:
                        await exchange.run(payload)
                    finally:
                        await end(child)
        if len(exchange.reply) > self._max_size:
            raise too_large("reply", self._max_size)
        if child.exit_status != 0:
            raise _failure(child, output)
        return _reply(bytes(exchange.reply.strip()))


def _reply(data: bytes) -> Reply:
    try:
        load_json(data)
    except ValueError as error:
        written = f"something other than a JSON value: {quote(data)}" if data else "nothing, not even the value null"
        raise InvalidReply(f"the process wrote {written}") from error
    return Reply(payload=data)


def _failure(child: Child, output: Output) -> RemoraError:
    status = child.exit_status
    if status is None or status < 0:
        return died(child, output)
    words = " | ".join(output.last_lines[-_MESSAGE_LINES:])
    code = Code.UNAVAILABLE if status == os.EX_TEMPFAIL else Code.UNKNOWN
    return PluginError(f"the process {describe_exit(status)}" + (f": {words}" if words else ""), code=code)


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
