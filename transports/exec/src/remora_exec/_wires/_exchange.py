"""
What a program that is run once gets and gives, until it has ended.

One task does it all. The pipes and the end of the program are in one selector, so that the event loop has a single
descriptor to wait for. What it costs to run a small program is mostly what the host needs to notice its end, and one
task is woken up three or four times for it.
"""

from __future__ import annotations

import signal
from contextlib import closing, suppress
from selectors import EVENT_READ, EVENT_WRITE, DefaultSelector
from typing import TYPE_CHECKING

import anyio

from remora_exec._pipes import ReadPipe
from remora_exec._wires._process import signal_group

if TYPE_CHECKING:
    from remora_exec._keeping._child import Child
    from remora_exec._pipes import WritePipe
    from remora_exec._wires._output import Output

_OUTPUT_AFTER_EXIT = 0.25


class Exchange:
    """
    The input of a child, its output, and its end.

    Args:
        child: The child. It is reaped when it has ended.
        stdin: Its input, closed when all is written or nobody reads any more.
        stdout: Its output.
        output: The log that gets what it writes to its standard error.
        max_size: The most bytes of output; a child that writes more is killed.

    Attributes:
        reply: The output; longer than `max_size` when there was more.
    """

    def __init__(self, child: Child, stdin: WritePipe, stdout: ReadPipe, output: Output, max_size: int) -> None:
        self.reply = bytearray()
        self._child = child
        self._stdin = stdin
        self._stdout = stdout
        self._output = output
        self._max_size = max_size
        self._request = memoryview(b"")
        self._reading = 2  # outputs that have not ended

    async def run(self, request: bytes) -> None:
        """
        Return when the child and its outputs have ended; the outputs get little time if descendants keep them open.
        """
        self._request = memoryview(request)
        with DefaultSelector() as self._selector, closing(ReadPipe(self._child.stderr)) as self._stderr:
            try:
                self._watch()
                while self._child.exit_status is None:
                    await self._attend()
                if self._reading:
                    await self._settle()
            finally:
                self._output.feed_eof()

    def _watch(self) -> None:
        self._selector.register(self._stdin, EVENT_WRITE, self._write)
        self._selector.register(self._stdout, EVENT_READ, self._read)
        self._selector.register(self._stderr, EVENT_READ, self._log)
        self._selector.register(self._child, EVENT_READ, self._look)
        self._write()
        self._look()  # the descriptor does not tell an end that was heard of with the start

    async def _settle(self) -> None:
        with anyio.move_on_after(_OUTPUT_AFTER_EXIT):
            while self._reading:
                await self._attend()

    async def _attend(self) -> None:
        await anyio.wait_readable(self._selector.fileno())
        for key, _ in self._selector.select(0):
            key.data()

    def _write(self) -> None:
        with suppress(OSError):  # a program need not read its input
            self._request = self._stdin.write(self._request)
            if self._request:
                return
        self._selector.unregister(self._stdin)
        self._stdin.close()

    def _read(self) -> None:
        data = self._stdout.read()
        if data == b"":
            self._end(self._stdout)
        elif data and len(self.reply) <= self._max_size:
            self.reply += data
        elif data:
            signal_group(self._child, signal.SIGKILL)

    def _log(self) -> None:
        data = self._stderr.read()
        if data == b"":
            self._end(self._stderr)
        elif data:
            self._output.feed(data)

    def _end(self, pipe: ReadPipe) -> None:
        self._selector.unregister(pipe)
        self._reading -= 1

    def _look(self) -> None:
        if self._child.has_ended():
            self._selector.unregister(self._child)
            self._child.reap()
