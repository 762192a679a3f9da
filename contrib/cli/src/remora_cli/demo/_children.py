"""
Processes that serve the demo's plugin: started, waited for until they can be called, and ended.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager
from typing import IO, TYPE_CHECKING

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

from remora.errors import PluginDied, Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from anyio.abc import Process

SERVICE = "remora_cli.demo.text:TextProcessor"

_START, _STOP = 30.0, 5.0
_LONGEST_LINE = 65536


def arguments(backend: str) -> tuple[str, ...]:
    """
    What the interpreter is given to serve the plugin.
    """
    return ("-m", "remora_cli", "serve", SERVICE, "--backend", backend, "--drain-timeout", "2")


@asynccontextmanager
async def serving_children(addresses: Sequence[str], *, backend: str) -> AsyncIterator[list[str]]:
    """
    The URLs at which child processes serve the plugin, one at each address; they are gone when the context is left.

    Raises:
        PluginDied: One ended instead.
        Unavailable: One was not ready in time.
    """
    children: list[_Child] = []
    try:
        for address in addresses:
            children.append(await _Child.start(address, backend))
        yield [await child.url() for child in children]
    finally:
        for child in children:
            child.terminate()
        with anyio.CancelScope(shield=True):
            for child in children:
                await child.end()


class _Child:
    def __init__(self, address: str, process: Process, words: IO[str]) -> None:
        self._address = address
        self._process = process
        self._words = words

    @classmethod
    async def start(cls, address: str, backend: str) -> _Child:
        command = [sys.executable, *arguments(backend), "--json", "--listen", address]
        words = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")  # noqa: SIM115, closed in `end`
        # a session of its own: Ctrl-C reaches the host alone, which ends its children in order
        process = await anyio.open_process(command, stdin=subprocess.DEVNULL, stderr=words, start_new_session=True)
        return cls(address, process, words)

    async def url(self) -> str:
        """
        Where it serves, once it does.
        """
        assert self._process.stdout is not None
        with anyio.move_on_after(_START):
            try:
                line = await BufferedByteReceiveStream(self._process.stdout).receive_until(b"\n", _LONGEST_LINE)
            except anyio.IncompleteRead as error:
                raise await self._died() from error
            said: dict[str, str] = json.loads(line)
            if "url" not in said:  # but "error", which stands on standard error as well
                raise await self._died()
            return said["url"]
        raise Unavailable(f"the process that is to serve at {self._address} is not ready after {_START:g} s")

    async def _died(self) -> PluginDied:
        status = await self._process.wait()
        self._words.seek(0)
        said = self._words.read().splitlines()[-5:]
        reason = said[-1].removeprefix("remora: ") if said else "it said nothing"
        message = f"the process that was to serve at {self._address} ended with status {status}: {reason}"
        return PluginDied(message, exit_status=status, stderr=said)

    def terminate(self) -> None:
        """
        Ask it to end.
        """
        if self._process.returncode is None:
            self._process.terminate()

    async def end(self) -> None:
        """
        Wait until it is gone, and insist when it does not go.
        """
        with anyio.move_on_after(_STOP):
            await self._process.wait()
        if self._process.returncode is None:
            self._process.kill()
        await self._process.aclose()
        self._words.close()
