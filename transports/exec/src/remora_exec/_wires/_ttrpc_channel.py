"""
The host's side of `ttrpc`: the multiplexed channel of `remora.io` over a socket that is the child's standard input and
output at once. A program that knows only descriptors 0 and 1 sees no difference, and one socket costs the host a third
of what two pipes cost.

A child is ready when it has answered a first health check. Until then it gets no grace: one that does not become ready
is killed at once, with all processes that it started.
"""

from __future__ import annotations

import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from remora.errors import ConnectionLost, Unavailable, WrongProtocol
from remora.io import open_ttrpc, probe_health
from remora_exec._command import other_python
from remora_exec._pipes import having_room
from remora_exec._tasks import background
from remora_exec._wires._foreword import ChildPipe
from remora_exec._wires._process import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from remora.errors import RemoraError
    from remora.io import TtrpcChannel
    from remora.types import Call, HealthStatus, Inspection, Reply
    from remora_exec._command import Command
    from remora_exec._launch_context import LaunchContext
    from remora_exec._wires._output import Output
    from remora_exec._wires._process import Process
    from remora_exec.plugin import ExecOptions

_EXIT_AFTER_LOSS = 0.5
_REPLIES_AFTER_EXIT = 0.25
_OTHER_WAYS = '; a program that does not speak ttrpc needs protocol = "jsonl" or "oneshot"'
_NOT_SERVED = f"; a plugin in Python calls `serve(...)`{_OTHER_WAYS}"


@asynccontextmanager
async def open_ttrpc_child(
    command: Command, context: LaunchContext, output: Output, options: ExecOptions
) -> AsyncIterator[ChildChannel]:
    """
    A child that speaks ttrpc and is ready, for as long as the context lasts.
    """
    with having_room():
        ours, theirs = socket.socketpair()
    with ours:
        descriptor = theirs.detach()
        async with (
            running(command, context, output, stdin=descriptor, stdout=descriptor) as process,
            open_ttrpc(ChildPipe(ours, heard=output.feed), max_message_size=options.max_message_size) as inner,
            background() as tasks,
        ):
            channel = ChildChannel(process, inner, doubt=other_python(command))
            tasks.start(channel.watch)
            await _become_ready(channel, output, options.connection.connection_timeout)
            process.graces = (options.stop_grace, options.term_grace)
            yield channel


async def _become_ready(channel: ChildChannel, output: Output, timeout: float) -> None:
    with anyio.move_on_after(timeout):
        try:
            await channel.probe()
        except WrongProtocol as error:
            raise WrongProtocol(f"{error.message}{_OTHER_WAYS}") from error
        channel.is_ready = True
        return
    words = f" but prints {output.last_lines[-1]!r}" if output.last_lines else ""
    raise Unavailable(
        f"the process is not ready after {timeout:g} s: it answers nothing{words}{_OTHER_WAYS}", sent=False
    )


class ChildChannel:
    """
    A channel to a child that speaks ttrpc; it reports a lost connection as the end of the process that has caused it.

    Args:
        process: The child.
        inner: The channel over its standard input and output.
        doubt: What may be the reason if it fails before it is ready.

    Attributes:
        is_ready: Whether it has answered once, so that it is known to speak ttrpc.
    """

    def __init__(self, process: Process, inner: TtrpcChannel, *, doubt: str = "") -> None:
        self._process = process
        self._inner = inner
        self._doubt = doubt
        self.is_ready = False

    @property
    def pid(self) -> int:
        """
        The id of the process.
        """
        return self._process.pid

    async def call(self, call: Call) -> Reply:
        """
        Carry one call to the child and its reply back; the inner channel enforces the deadline.
        """
        try:
            return await self._inner.call(call)
        except ConnectionLost as error:
            raise await self._explain(error) from error

    async def probe(self) -> HealthStatus:
        """
        Ask the child for its health.
        """
        return await probe_health(self.call)

    async def wait_closed(self) -> RemoraError | None:
        """
        Wait until the process has ended, or the connection cannot be used any more.
        """
        cause = await self._inner.wait_closed()
        lost = cause is None or isinstance(cause, ConnectionLost)
        return await self._explain(cause) if lost else cause

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
        with anyio.move_on_after(_REPLIES_AFTER_EXIT):
            await self._inner.wait_closed()
        await self._inner.aclose()

    async def _explain(self, error: RemoraError | None) -> RemoraError:
        if await self._process.ends_within(_EXIT_AFTER_LOSS):
            hint = _NOT_SERVED if self._process.exit_status == 0 else self._doubt
            return self._process.died(sent=error is None or error.sent, hint="" if self.is_ready else hint)
        self._process.end_soon()
        return error or ConnectionLost("the process closed its standard output")
