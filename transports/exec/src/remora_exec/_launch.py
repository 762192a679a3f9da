"""
The host's half of the transport: programs are started, called, ended and inspected. A program that serves its own
pipes never loads it.
"""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from remora.types import Inspection
from remora_exec._command import command_for, require_descriptors, secrets_of
from remora_exec._confinement import Confinement
from remora_exec._keeping._python import python_of
from remora_exec._keeping._python_words import StartNeeded
from remora_exec._keeping._starter import keeping
from remora_exec._launch_context import LaunchContext
from remora_exec._notices import Notices
from remora_exec._security._guard import Guard
from remora_exec._security._script import script_of, script_warning
from remora_exec._wires._jsonl_channel import open_jsonl
from remora_exec._wires._oneshot_channel import OneshotChannel
from remora_exec._wires._output import Output
from remora_exec._wires._ttrpc_channel import open_ttrpc_child

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from remora.protocols import Channel
    from remora.types import Endpoint
    from remora_exec._command import Command
    from remora_exec._keeping._child import Starter
    from remora_exec.plugin import ExecOptions

_logger = logging.getLogger(__name__.replace("_", ".", 1))


@asynccontextmanager
async def open_program(endpoint: Endpoint, options: ExecOptions, notices: Notices) -> AsyncIterator[Channel]:
    """
    Start the program of an endpoint; leaving the context ends it and all processes that it started.

    Args:
        endpoint: The endpoint.
        options: How it is started.
        notices: What was said in the log before, which a restart does not say again.
    """
    command = command_for(endpoint, options)
    require_descriptors(command)
    warning = script_warning(command)
    if notices.is_news(("script", endpoint.url), warning):
        level = logging.WARNING if "everybody" in warning else logging.INFO  # many groups have only one member
        _logger.log(level, "plugin %r: %s", options.name, warning)
    async with AsyncExitStack() as stack:
        starter = await stack.enter_async_context(_keeping(options))
        context = LaunchContext(starter, _guard(endpoint, options, notices), Confinement(options), secrets_of(command))
        if options.protocol == "oneshot":
            await _admit(context, command)
            yield OneshotChannel(command, context, endpoint.url, options)
            return
        output = Output(options.name, endpoint.url)
        if options.protocol == "jsonl":
            yield await stack.enter_async_context(open_jsonl(command, context, output, options))
        else:
            yield await stack.enter_async_context(open_ttrpc_child(command, context, output, options))


def _keeping(options: ExecOptions) -> AbstractAsyncContextManager[Starter]:
    forks, is_lasting = options.start_method == "forkserver", options.protocol != "oneshot"
    return keeping(forks=forks, patience=options.connection.connection_timeout, is_lasting=is_lasting)


def inspect_program(endpoint: Endpoint, options: ExecOptions) -> Inspection:
    """
    The program that would be started for an endpoint, and under which measures.
    """
    command = command_for(endpoint, options)
    warning = script_warning(command)
    with _guard(endpoint, options, Notices()).examined(command.program) as verdict:
        return Inspection(
            program=command.program,
            sha256=verdict.sha256,
            size=verdict.size,
            outcome=verdict.decision.outcome,
            reasons=verdict.decision.reasons,
            measures={
                **Confinement(options).measures(verdict),
                **_script_measure(command),
                **_start_measure(command, options),
            },
            warnings=(warning,) if warning else (),
        )


def _script_measure(command: Command) -> dict[str, str]:
    script = script_of(command)
    return {"script": f"{script}, which is not hashed"} if script else {}


def _start_measure(command: Command, options: ExecOptions) -> dict[str, str]:
    if options.start_method != "forkserver":
        return {}
    try:
        interpreter, _ = python_of(command, options.preload)
    except StartNeeded as error:
        return {"start": f"executed, not forked: {error}"}
    more = f", which has loaded {', '.join(interpreter.preload)}" if interpreter.preload else ""
    return {"start": f"forked from {' '.join(interpreter.argv)}{more}"}


def _guard(endpoint: Endpoint, options: ExecOptions, notices: Notices) -> Guard:
    return Guard(options.security, plugin=options.name, endpoint=endpoint.url, notices=notices)


async def _admit(context: LaunchContext, command: Command) -> None:
    """
    Refuse at once a program that would be refused at every call.
    """
    async with context.guard.admitted(command.program):
        pass
