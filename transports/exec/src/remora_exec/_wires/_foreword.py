"""
What a child prints before it speaks ttrpc: a `print()` while it imports its modules, a banner of a library.

What lives here: telling text from frames. What must not: frames themselves (see `remora.wire`).

Until a child serves, its standard output is like that of any program, and what it prints there is on the wire. Text has
no NUL; the first frame begins with one, because it answers a small request. So everything up to the first NUL is text,
and is logged. An answer in JSON lines, or more text than a program prints while starting, goes to the reader of
frames, which refuses it with an error of its own.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from remora.io import SocketPipe

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_MOST_WORDS = 64 * 1024


class Foreword:
    """
    The bytes of a child until its first frame.

    Args:
        heard: Called with the text that the child prints.

    Attributes:
        is_over: Whether everything from now on is for the reader of frames.
    """

    def __init__(self, heard: Callable[[bytes], None]) -> None:
        self._heard = heard
        self._words = bytearray()
        self.is_over = False

    def feed(self, data: bytes) -> bytes:
        """
        Take bytes that have arrived; returns those for the reader of frames.
        """
        if self.is_over:
            return data
        words, nul, frames = data.partition(b"\0")
        self._words += words
        self._heard(words)
        if nul:
            self.is_over = True
            return nul + frames
        self.is_over = len(self._words) > _MOST_WORDS or _is_answer(self._words)
        return bytes(self._words) if self.is_over else b""


class ChildPipe(SocketPipe):
    """
    The socket to a child, without its foreword.
    """

    def __init__(self, connected: socket.socket, *, heard: Callable[[bytes], None]) -> None:
        super().__init__(connected)
        self._connected = connected
        self._foreword = Foreword(heard)

    async def receive(self) -> bytes:
        """
        The next bytes, as `SocketPipe.receive`.
        """
        while not (data := self._foreword.feed(await super().receive())):
            pass
        return data

    async def pump(
        self,
        take: Callable[[bytes | memoryview], int | None],
        hold: Callable[[], Callable[[], Awaitable[None]] | None] | None = None,
    ) -> None:
        """
        Hand over the bytes that arrive, as `SocketPipe.pump`.
        """

        def heard(data: bytes | memoryview) -> int | None:
            frames = data if self._foreword.is_over else self._foreword.feed(bytes(data))
            return take(frames) if frames else None

        await super().pump(heard, hold)

    async def aclose(self) -> None:
        """
        End the child's input, even if a fork of this process has the socket too, and close it.
        """
        with suppress(OSError):
            self._connected.shutdown(socket.SHUT_RDWR)
        await super().aclose()


def _is_answer(words: bytearray) -> bool:
    return words.startswith(b"{") and b'"id"' in words and (b'"result"' in words or b'"error"' in words)
