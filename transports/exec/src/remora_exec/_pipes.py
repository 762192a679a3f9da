"""
The two ends of a pipe as asynchronous streams, on any backend, over a bare descriptor.

A program's standard input may also be a file or a terminal: event loops cannot wait for those, so a thread reads them.
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
from anyio.lowlevel import checkpoint

from remora.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 65536


class ReadPipe:
    """
    The reading end of a pipe; owns the descriptor.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_waitable = _make_waitable(descriptor)

    async def receive(self, max_bytes: int = _CHUNK) -> bytes:
        """
        The next bytes; empty at end of input.
        """
        await checkpoint()
        if not self._is_waitable:
            return await anyio.to_thread.run_sync(os.read, self._descriptor, max_bytes, abandon_on_cancel=True)
        while (data := self.read(max_bytes)) is None:
            if not await self._becomes_readable():
                return b""
        return data

    def read(self, max_bytes: int = _CHUNK) -> bytes | None:
        """
        The same without waiting; None when there is nothing yet.
        """
        try:
            return os.read(self._descriptor, max_bytes)
        except BlockingIOError:
            return None
        except OSError:
            return b""

    def fileno(self) -> int:
        """
        The descriptor.
        """
        return self._descriptor

    async def _becomes_readable(self) -> bool:
        try:
            await anyio.wait_readable(self._descriptor)
        except anyio.ClosedResourceError:
            return False
        return True

    def close(self) -> None:
        """
        Close the descriptor; a task that still reads gets end of input.
        """
        if self._is_waitable:
            _close(self._descriptor)
            self._descriptor = -1


class WritePipe:
    """
    The writing end of a pipe; owns the descriptor.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._is_waitable = _make_waitable(descriptor)

    async def send(self, data: bytes) -> None:
        """
        Write all of it.

        Raises:
            BrokenPipeError: Nobody reads any more.
        """
        await checkpoint()
        if not self._is_waitable:
            await anyio.to_thread.run_sync(_write_all, self._descriptor, data)
            return
        view = self.write(memoryview(data))
        while view:
            await self._wait()
            view = self.write(view)

    def write(self, data: memoryview) -> memoryview:
        """
        Write what there is room for, without waiting; returns the rest.

        Raises:
            BrokenPipeError: Nobody reads any more.
        """
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except BlockingIOError:
            pass
        return data

    def fileno(self) -> int:
        """
        The descriptor.
        """
        return self._descriptor

    async def _wait(self) -> None:
        try:
            await anyio.wait_writable(self._descriptor)
        except anyio.ClosedResourceError as error:
            raise BrokenPipeError("closed while it was written to") from error

    def close(self) -> None:
        """
        Close the descriptor; the reader gets end of input, and a task that still writes gets BrokenPipeError.
        """
        if self._is_waitable:
            _close(self._descriptor)
            self._descriptor = -1

    def abandon(self) -> None:
        """
        Close the copy that a fork has; the event loop, which it shares with its parent, is not told.
        """
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


_inputs: set[WritePipe] = set()
"""The inputs of children. A fork of this process that kept them open would keep the children from seeing their end."""


def _after_fork() -> None:
    for each in _inputs:
        each.abandon()
    _inputs.clear()


os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def pipes() -> Iterator[tuple[int, int, WritePipe, ReadPipe]]:
    """
    Two pipes for a child: the descriptors to be its standard input and output, and our ends of them.

    The child's ends are the caller's to close, ours are closed here.

    Raises:
        Unavailable: The system has no descriptors left.
    """
    with having_room():
        (their_input, our_output), (our_input, their_output) = _two_pipes()
    with ExitStack() as stack:
        stdin = WritePipe(our_output)
        stack.callback(stdin.close)
        _inputs.add(stdin)
        stack.callback(_inputs.discard, stdin)
        stdout = ReadPipe(our_input)
        stack.callback(stdout.close)
        yield their_input, their_output, stdin, stdout


def _two_pipes() -> tuple[tuple[int, int], tuple[int, int]]:
    first = os.pipe()
    try:
        return first, os.pipe()
    except OSError:
        for descriptor in first:
            os.close(descriptor)
        raise


@contextmanager
def having_room() -> Iterator[None]:
    """
    A context for creating what a process is started with.

    Raises:
        Unavailable: The system lacks the resources for it now.
    """
    try:
        yield
    except OSError as error:
        raise Unavailable(f"no process can be started: {error.strerror}", sent=False) from error


def _make_waitable(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        return False
    os.set_blocking(descriptor, False)
    return True


def _close(descriptor: int) -> None:
    # A descriptor that a thread may still be using stays open until the process ends.
    if descriptor >= 0:
        anyio.notify_closing(descriptor)
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
