"""
The plugin's side: a process serves its own standard input and output.

Before the served objects start, the two descriptors come to belong to the protocol alone. They are moved to other
numbers first; then descriptor 0 becomes /dev/null and descriptor 1 a copy of standard error, so that no `print()`, no
library and no grandchild can put a byte on the wire. They are not moved back: what is printed later goes to the log as
well, or nowhere if the host is gone.
"""

from __future__ import annotations

import io
import os
import socket
import stat
import sys
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import anyio

from remora.errors import ConfigError
from remora.io import SocketPipe, serve_ttrpc
from remora.types import Endpoint
from remora_exec._pipes import ReadPipe, WritePipe
from remora_exec._tasks import background
from remora_exec._wires import PROTOCOLS
from remora_exec._wires._host_log import logging_for_the_host
from remora_exec._wires._printing import lose_what_nobody_reads

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

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


class Streams:
    """
    The descriptors of the protocol, until somebody takes them to serve with.
    """

    def __init__(self, protocol: str, stdin: int, stdout: int) -> None:
        self.protocol = protocol
        self._descriptors = [stdin, stdout]

    def take(self) -> tuple[int, int]:
        """
        The descriptors for reading and for writing; whoever takes them closes them.
        """
        stdin, stdout = self._descriptors
        self._descriptors.clear()
        return stdin, stdout

    def close(self) -> None:
        """
        Close them unless they were taken, so that the host learns that nobody serves it.
        """
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors.clear()


@contextmanager
def claimed(endpoint: Endpoint, options: ExecOptions) -> Iterator[Streams]:
    """
    The standard streams as the host's wires, in the protocol that it names in REMORA_PROTOCOL; until the context is
    left, what is logged goes to the host as well.

    Raises:
        ConfigError: The endpoint names an address, or the protocol is unknown.
    """
    protocol = os.environ.get("REMORA_PROTOCOL") or options.protocol
    if endpoint.address:
        raise ConfigError(f"a process can only serve its own pipes: write stdio:, not {endpoint.url}")
    if protocol not in PROTOCOLS:
        raise ConfigError(f"REMORA_PROTOCOL={protocol} is none of {', '.join(PROTOCOLS)}")
    streams = Streams(protocol, *claim_stdio())
    try:
        with logging_for_the_host():
            yield streams
    finally:
        streams.close()


@asynccontextmanager
async def listen_stdio(streams: Streams, dispatch: Dispatch, options: ExecOptions) -> AsyncIterator[StdioListener]:
    """
    Serve over what was claimed, until the context is left.
    """
    listener = StdioListener()
    stdin, stdout = streams.take()
    async with background() as tasks:
        size = options.max_message_size
        tasks.start(lambda: listener.run(_serve(streams.protocol, stdin, stdout, dispatch, size)))
        yield listener


@asynccontextmanager
async def claim_and_listen(
    endpoint: Endpoint, dispatch: Dispatch, options: ExecOptions
) -> AsyncIterator[StdioListener]:
    """
    Both at once, for where nothing comes in between.

    Raises:
        ConfigError: The endpoint names an address, or the protocol is unknown.
    """
    with claimed(endpoint, options) as streams:
        async with listen_stdio(streams, dispatch, options) as listener:
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
    lose_what_nobody_reads()
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
