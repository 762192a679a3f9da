"""
The plugin's side: a process serves its own standard input and output.

From the moment it listens, the two descriptors belong to the protocol alone. They are moved to other numbers first;
then descriptor 0 becomes /dev/null and descriptor 1 a copy of standard error, so that no `print()`, no library and no
grandchild can put a byte on the wire. They are not moved back: what is printed later goes to the log as well.
"""

from __future__ import annotations

import io
import os
import socket
import stat
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from remora.errors import ConfigError
from remora.io import SocketPipe, serve_ttrpc
from remora.types import Endpoint
from remora_exec._pipes import ReadPipe, WritePipe
from remora_exec._tasks import background
from remora_exec._wires import PROTOCOLS
from remora_exec._wires._host_log import logging_for_the_host

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from remora.io import BytePipe
    from remora.protocols import Dispatch
    from remora_exec.plugin import ExecOptions


class StdioListener:
    """
    A plugin that is served over its standard input and output.
    """

    def __init__(self) -> None:
        self._ended = anyio.Event()

    @property
    def endpoint(self) -> Endpoint:
        """
        Always `stdio:`, since only the parent can call it.
        """
        return Endpoint("stdio:")

    async def wait_closed(self) -> None:
        """
        Wait for the end of input.
        """
        await self._ended.wait()

    async def run(self, serving: Awaitable[None]) -> None:
        """
        Serve until the end of input.
        """
        try:
            await serving
        finally:
            self._ended.set()


@asynccontextmanager
async def listen_stdio(endpoint: Endpoint, dispatch: Dispatch, options: ExecOptions) -> AsyncIterator[StdioListener]:
    """
    Serve in the protocol that the host names in REMORA_PROTOCOL, until the context is left.

    Raises:
        ConfigError: The endpoint names an address, or the protocol is unknown.
    """
    protocol = os.environ.get("REMORA_PROTOCOL") or options.protocol
    if endpoint.address:
        raise ConfigError(f"a process can only serve its own pipes: write stdio:, not {endpoint.url}")
    if protocol not in PROTOCOLS:
        raise ConfigError(f"REMORA_PROTOCOL={protocol} is none of {', '.join(PROTOCOLS)}")
    listener = StdioListener()
    stdin, stdout = claim_stdio()
    with logging_for_the_host():
        async with background() as tasks:
            tasks.start(lambda: listener.run(_serve(protocol, stdin, stdout, dispatch, options.max_message_size)))
            yield listener


async def _serve(protocol: str, stdin: int, stdout: int, dispatch: Dispatch, max_size: int) -> None:
    peer = f"pid:{os.environ.get('REMORA_HOST_PID') or os.getppid()} uid:{os.getuid()}"
    if protocol == "ttrpc":
        await serve_ttrpc(_byte_pipe(stdin, stdout), dispatch, peer, max_message_size=max_size)
        return
    reader, writer = ReadPipe(stdin), WritePipe(stdout)
    try:
        await _server(protocol)(reader, writer, dispatch, peer, max_size=max_size)
    finally:
        reader.close()
        writer.close()


def _server(protocol: str) -> Callable[..., Awaitable[None]]:
    if protocol == "jsonl":
        from remora_exec._wires._jsonl_server import serve_jsonl

        return serve_jsonl
    from remora_exec._wires._oneshot_server import serve_oneshot

    return serve_oneshot


def claim_stdio() -> tuple[int, int]:
    """
    Move descriptors 0 and 1 out of the program's reach.

    Returns:
        The descriptors of the protocol: for reading and for writing.
    """
    stdin, stdout = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    try:
        os.dup2(null, 0)
        os.dup2(2 if _is_open(2) else null, 1)
    finally:
        os.close(null)
    if sys.stdout is not None:
        sys.stdout.flush()
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(line_buffering=True)
    return stdin, stdout


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _byte_pipe(stdin: int, stdout: int) -> BytePipe:
    first, second = os.fstat(stdin), os.fstat(stdout)
    if stat.S_ISSOCK(first.st_mode) and (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino):
        os.close(stdout)
        return SocketPipe(socket.socket(fileno=stdin))
    return _TwoPipes(ReadPipe(stdin), WritePipe(stdout))


class _TwoPipes:
    """
    A pipe for reading and one for writing, as one stream.
    """

    def __init__(self, reader: ReadPipe, writer: WritePipe) -> None:
        self._reader = reader
        self._writer = writer

    async def receive(self) -> bytes:
        if data := await self._reader.receive():
            return data
        raise anyio.EndOfStream

    async def send(self, item: bytes, /) -> None:
        await self._writer.send(item)

    async def aclose(self) -> None:
        self._reader.close()
        self._writer.close()
