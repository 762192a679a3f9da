"""
The life of one child process: started, watched, ended, cleaned up.

What lives here: processes and signals. What must not: what goes over the pipes.

A child is the leader of a session and a process group of its own. Signals go to the whole group, and none are sent once
the child has been reaped, since its number may then be reused. Processes that it leaves behind are ended by its starter
(see `_keeper`). Nothing here waits for the end of a pipe without a limit: a grandchild may hold it open forever.
"""

from __future__ import annotations

import errno
import os
import signal
from contextlib import asynccontextmanager, closing, suppress
from typing import TYPE_CHECKING

import anyio

from remora.errors import ConfigError, PluginDied, Unavailable
from remora_exec._keeping._child import ended
from remora_exec._pipes import ReadPipe
from remora_exec._security._admission import Admission
from remora_exec._tasks import background

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from remora.errors import RemoraError
    from remora_exec._command import Command
    from remora_exec._keeping._child import Child
    from remora_exec._launch_context import LaunchContext
    from remora_exec._security._guard import Verdict
    from remora_exec._wires._output import Output

_LAST_WORDS = 0.25
_AFTER_KILL = 2.0
_QUOTED_LINES = 5
_BAD_PROGRAM = {
    errno.ENOENT: "the interpreter that its first line names does not exist",
    errno.ENOEXEC: "it is neither a program for this machine nor a script with a #! line",
    errno.EACCES: "it, or the interpreter that its first line names, may not be executed",
    errno.E2BIG: "its arguments and its environment are too large",
}


class Process:
    """
    A child that runs, or has run.

    Attributes:
        pid: Its process id, which is also that of its group.
        graces: Seconds before SIGTERM and before SIGKILL when it is stopped; empty for SIGKILL at once.
        admission: Whether the program would still be allowed to start.
    """

    def __init__(self, child: Child, output: Output, admission: Admission) -> None:
        self.pid = child.pid
        self.admission = admission
        self.graces: tuple[float, ...] = ()
        self._child = child
        self._output = output
        self._stderr_ended = anyio.Event()
        self._ended = anyio.Event()
        self._gone = anyio.Event()

    @property
    def exit_status(self) -> int | None:
        """
        None while it runs; negative for a signal.
        """
        return self._child.exit_status

    async def wait(self) -> None:
        """
        Wait until it has ended and its last output is known.
        """
        await self._ended.wait()

    async def ends_within(self, seconds: float) -> bool:
        """
        Whether it ends within some seconds.
        """
        with anyio.move_on_after(seconds):
            await self._ended.wait()
        return self._ended.is_set()

    def died(self, *, sent: bool = True, hint: str = "") -> PluginDied:
        """
        The error for a call that needed the process.
        """
        return died(self._child, self._output, sent=sent, hint=hint)

    def signal_group(self, number: signal.Signals) -> None:
        """
        Send a signal to its process group; nothing happens when no process is left.
        """
        signal_group(self._child, number)

    def end_soon(self) -> None:
        """
        Send SIGTERM at once when it is stopped: it has closed its output and goes on, so nothing is gained by waiting.
        """
        self.graces = self.graces and (0.0, *self.graces[1:])

    async def stop(self) -> None:
        """
        End it in bounded time: wait, SIGTERM, wait, SIGKILL. When cancelled, it does not wait.
        """
        try:
            await self._let_end()
        finally:
            with anyio.CancelScope(shield=True):
                await self._kill()

    async def _let_end(self) -> None:
        for grace, number in zip(self.graces, (signal.SIGTERM, signal.SIGKILL), strict=False):
            if await self.ends_within(grace):
                break
            self.signal_group(number)

    async def _kill(self) -> None:
        self.signal_group(signal.SIGKILL)
        with anyio.move_on_after(_AFTER_KILL):
            await self._gone.wait()

    async def watch(self) -> None:
        """
        Wait for its end, reap it, and wait for the end of all processes that it started.
        """
        await ended(self._child)
        self._child.reap()
        with anyio.move_on_after(_LAST_WORDS):
            await self._stderr_ended.wait()
        self._ended.set()
        await self._child.gone()
        self._gone.set()

    async def read_stderr(self) -> None:
        """
        Log what it writes to its standard error, until that is closed.
        """
        pipe = ReadPipe(self._child.stderr)
        try:
            while data := await pipe.receive():
                self._output.feed(data)
            self._output.feed_eof()
        finally:
            pipe.close()
            self._stderr_ended.set()


@asynccontextmanager
async def running(
    command: Command, context: LaunchContext, output: Output, *, stdin: int, stdout: int
) -> AsyncIterator[Process]:
    """
    A child with these descriptors as its standard input and output; they are closed here.

    Leaving the context stops it, after the `graces` that it has then. Closing its input is up to the caller.

    Raises:
        ExecutableRefused: The program may not be run.
        ConfigError: The program cannot be run.
        Unavailable: The system lacks the resources for another process.
    """
    child, verdict = await started(command, context, stdin=stdin, stdout=stdout)
    process = Process(child, output, Admission(context.guard, verdict))
    with closing(child):
        async with background() as tasks:
            tasks.start(process.read_stderr)
            tasks.start(process.watch)
            tasks.start(process.admission.watch)
            try:
                yield process
            finally:
                await process.stop()


async def started(command: Command, context: LaunchContext, *, stdin: int, stdout: int) -> tuple[Child, Verdict]:
    """
    A child with these descriptors as its standard input and output, which are closed here, and why it may run.

    Raises:
        ExecutableRefused: The program may not be run.
        ConfigError: The program cannot be run.
        Unavailable: The system lacks the resources for another process.
    """
    try:
        async with context.guard.admitted(command.program) as verdict:
            return await _spawn(command, context, verdict, stdin, stdout), verdict
    finally:
        for descriptor in {stdin, stdout}:
            os.close(descriptor)


async def _spawn(command: Command, context: LaunchContext, verdict: Verdict, stdin: int, stdout: int) -> Child:
    try:
        return await context.starter.start(context.confinement.order(command, verdict), stdin=stdin, stdout=stdout)
    except OSError as error:
        raise _spawn_error(command, error) from error


def _spawn_error(command: Command, error: OSError) -> RemoraError:
    reason = _BAD_PROGRAM.get(error.errno or 0)
    if reason is None:
        return Unavailable(f"{command.program} cannot be started now: {error.strerror}", sent=False)
    return ConfigError(f"{command.program} cannot be run: {reason} ({error.strerror})")


async def end(child: Child) -> None:
    """
    Kill a child unless it has ended, and wait, even when cancelled, until it and all that it started have ended.
    """
    with anyio.move_on_after(_AFTER_KILL, shield=True):
        if child.exit_status is None:
            signal_group(child, signal.SIGKILL)
            await ended(child)
            child.reap()
        await child.gone()


def signal_group(child: Child, number: signal.Signals) -> None:
    """
    Send a signal to the process group of a child; nothing happens when the child has been reaped.
    """
    if child.exit_status is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(child.pid, number)


def died(child: Child, output: Output, *, sent: bool = True, hint: str = "") -> PluginDied:
    """
    The error for a call that needed a child.
    """
    lines = output.last_lines
    quoted = " | ".join(lines[-_QUOTED_LINES:])
    message = f"the process {describe_exit(child.exit_status)}{hint}"
    return PluginDied(message, exit_status=child.exit_status, stderr=lines, quoted=quoted, sent=sent)


def describe_exit(status: int | None) -> str:
    """
    How a process ended, in words.
    """
    if status is None:
        return "is ending"
    if status >= 0:
        return f"exited with status {status}"
    try:
        return f"was killed by signal {-status} ({signal.Signals(-status).name})"
    except ValueError:
        return f"was killed by signal {-status}"
