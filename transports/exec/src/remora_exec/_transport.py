"""
The transport: programs are started for hosts, and serve their own standard input and output.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from remora.errors import ConfigError
from remora.types import Inspection
from remora_exec._command import command_for
from remora_exec._confinement import Confinement
from remora_exec._guard import Guard
from remora_exec._house import House
from remora_exec._jsonl_channel import open_jsonl
from remora_exec._keeper import keeping
from remora_exec._oneshot_channel import OneshotChannel
from remora_exec._output import Output
from remora_exec._stdio import listen_stdio
from remora_exec._ttrpc_channel import open_ttrpc_child

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from remora.protocols import Channel, Dispatch, Listener
    from remora.types import Endpoint
    from remora_exec._command import Command
    from remora_exec.plugin import ExecOptions

PROTOCOLS = ("ttrpc", "jsonl", "oneshot")


class ExecTransport:
    """
    Carries calls to child processes.
    """

    def __init__(self, options: ExecOptions) -> None:
        if options.protocol not in PROTOCOLS:
            raise ConfigError(f"protocol {options.protocol!r} is none of {', '.join(PROTOCOLS)}")
        self._options = options
        self._confinement = Confinement(options)

    @asynccontextmanager
    async def open(self, endpoint: Endpoint, /) -> AsyncIterator[Channel]:
        """
        Start the program of an endpoint; leaving the context ends it and all that it started.
        """
        options = self._options
        command = command_for(endpoint, options)
        async with AsyncExitStack() as stack:
            house = House(stack.enter_context(keeping()), self._guard(endpoint), self._confinement)
            if options.protocol == "oneshot":
                await _admit(house, command)
                yield OneshotChannel(command, house, endpoint.url, options)
                return
            output = Output(options.name, endpoint.url)
            if options.protocol == "jsonl":
                yield await stack.enter_async_context(open_jsonl(command, house, output, options))
            else:
                yield await stack.enter_async_context(open_ttrpc_child(command, house, output, options))

    def inspect(self, endpoint: Endpoint, /) -> Inspection:
        """
        What would be started for an endpoint, and under which measures.
        """
        command = command_for(endpoint, self._options)
        with self._guard(endpoint).examined(command.program) as verdict:
            return Inspection(
                program=command.program,
                sha256=verdict.sha256,
                size=verdict.size,
                outcome=verdict.decision.outcome,
                reasons=verdict.decision.reasons,
                measures=self._confinement.measures(verdict),
            )

    def _guard(self, endpoint: Endpoint) -> Guard:
        return Guard(self._options.security, plugin=self._options.name, endpoint=endpoint.url)

    def listen(self, endpoint: Endpoint, dispatch: Dispatch, /) -> AbstractAsyncContextManager[Listener]:
        """
        Serve this process's own standard input and output.
        """
        return listen_stdio(endpoint, dispatch, self._options)


async def _admit(house: House, command: Command) -> None:
    """
    Refuse at once what would be refused at every call.
    """
    async with house.guard.admitted(command.program):
        pass
