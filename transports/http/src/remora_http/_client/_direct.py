"""
The direct engine: a pool of lines to one server, with one table of deadlines for all of them.

What lives here: which line carries which exchange, for how long, and whether it may carry another. What must not: bytes
(see `_answer_reader` and `_request`), event loops (see `_lines`).

The host limits how many calls there may be at once, not the pool; so a health check never waits for a call to end. A
line that does not return to the pool is closed: after an answer that was not read completely, a deadline, a
cancellation.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from itertools import count
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import checkpoint

from remora.errors import ConnectionLost, DeadlineExceeded, Unavailable
from remora.io import Deadlines, background_tasks, loop_clock
from remora_http._client._answer_reader import AnswerReader
from remora_http._client._greeting import unreachable
from remora_http._client._known_heads import KnownHeads
from remora_http._client._lines import connector
from remora_http._client._request import HeadWriter

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Coroutine
    from typing import Any

    from remora.types import Call
    from remora_http._address import Address
    from remora_http._client._lines import Line
    from remora_http._failure import Answer
    from remora_http.plugin import Options

_SWEEP = 0
"""The number that stands for the closing of idle lines in the table of deadlines."""
_SETTLING = 3


class DirectEngine:
    """
    Lines to one server; the most recently used one is used first.
    """

    def __init__(self, address: Address, options: Options, tls: ssl.SSLContext | None) -> None:
        connection = options.connection
        self._address = address
        self._tls = tls
        self._limit = options.max_message_size
        self._connect_timeout = connection.connection_timeout
        self._most_idle = connection.max_idle_connections if connection.keep_alive else 0
        self._idle_timeout = connection.idle_timeout
        self._writer = HeadWriter(address, connection)
        self._known = KnownHeads()
        self._connect = connector()
        self._clock = loop_clock()
        self._deadlines = Deadlines()
        self._numbers = count(_SWEEP + 1)
        self._lines: dict[int, Line] = {}
        self._idle: list[Line] = []
        self._connecting = set[anyio.CancelScope]()
        self._is_sweeping = self._is_closed = False

    def post(self, call: Call, /, *, target: str = "") -> Coroutine[Any, Any, Answer]:
        """
        Send a call, and read the whole answer (see `Engine`).
        """
        now = self._clock()
        remaining = None if call.deadline is None else call.deadline - now
        if remaining is not None and remaining <= 0:
            raise DeadlineExceeded("the deadline had passed before the request was sent", sent=False)
        head = self._writer.post(call, remaining=remaining, target=target)
        return self._exchange(head, call.payload, call.deadline, now, idempotent=call.idempotent)

    def get(self, target: str, /) -> Coroutine[Any, Any, Answer]:
        """
        Ask for a page of the server (see `Engine`).
        """
        return self._exchange(self._writer.get(target), b"", None, self._clock(), idempotent=True)

    async def watch(self) -> None:
        """
        End exchanges at their deadlines, and close lines that have been idle for too long.
        """
        await self._deadlines.watch(self._expire)

    async def aclose(self) -> None:
        """
        Close all lines; what is under way on them ends with an error, and nothing new begins.
        """
        self._is_closed = True
        for line in self._lines.values():
            line.end(self._closed(sent=True))
        self._lines.clear()
        self._idle.clear()
        for scope in self._connecting:
            scope.cancel()
        with anyio.CancelScope(shield=True):
            for _ in range(_SETTLING):  # asyncio closes sockets one step later
                await checkpoint()

    async def _exchange(
        self, head: bytes, body: bytes, deadline: float | None, now: float, *, idempotent: bool
    ) -> Answer:
        """
        Send a request and read its answer. If the server has meanwhile closed the idle line that was taken, the request
        is sent once more, over a new line, provided that it may be processed twice.
        """
        idle = self._take(now)
        while True:
            line = idle or await self._open(deadline)
            if deadline is not None:
                self._deadlines.add(line.number, deadline)
            try:
                await line.exchange(head, body)
                return line.reader.outcome()
            except ConnectionLost:
                if idle is None or line.reader.has_begun or not idempotent or self._is_closed:
                    raise
                idle = None
            finally:
                self._deadlines.discard(line.number)
                self._put_back(line)

    def _take(self, now: float) -> Line | None:
        oldest = now - self._idle_timeout
        while self._idle:
            line = self._idle.pop()
            if line.since >= oldest and line.is_idle():
                return line
            self._close(line)
        return None

    def _put_back(self, line: Line) -> None:
        if not line.reader.is_reusable or self._is_closed or len(self._idle) >= self._most_idle:
            return self._close(line)
        line.reader.begin()  # so that it does not keep the body in memory
        line.since = now = self._clock()
        self._idle.append(line)
        if not self._is_sweeping:
            self._is_sweeping = True
            self._deadlines.add(_SWEEP, now + self._idle_timeout)
        return None

    def _close(self, line: Line) -> None:
        self._lines.pop(line.number, None)
        line.close()

    async def _open(self, deadline: float | None) -> Line:
        if self._is_closed:
            raise self._closed(sent=False)
        limit = self._clock() + self._connect_timeout
        try:
            with anyio.CancelScope(deadline=limit if deadline is None else min(limit, deadline)) as scope:
                self._connecting.add(scope)
                try:
                    reader = AnswerReader(self._address.place, self._limit, self._known)
                    return self._admit(await self._connect(self._address, self._tls, reader))
                finally:
                    self._connecting.discard(scope)
        except OSError as exc:
            raise unreachable(self._address, exc) from exc
        if self._is_closed:
            raise self._closed(sent=False)
        if deadline is not None and deadline < limit:
            raise DeadlineExceeded("the time was over before there was a connection", sent=False)
        message = f"{self._address.place} did not answer within {self._connect_timeout:g} s"
        raise Unavailable(message, sent=False)

    def _admit(self, line: Line) -> Line:
        if self._is_closed:
            line.close()
            raise self._closed(sent=False)
        line.number = next(self._numbers)
        self._lines[line.number] = line
        return line

    def _closed(self, *, sent: bool) -> ConnectionLost:
        return ConnectionLost(f"the channel to {self._address.place} is closed", sent=sent)

    def _expire(self, number: int) -> None:
        if number == _SWEEP:
            self._sweep()
        elif (line := self._lines.get(number)) is not None:
            line.end(DeadlineExceeded("the time was over before the reply arrived"))

    def _sweep(self) -> None:
        oldest = self._clock() - self._idle_timeout
        while self._idle and self._idle[0].since <= oldest:
            self._close(self._idle.pop(0))
        self._is_sweeping = bool(self._idle)
        if self._idle:
            self._deadlines.add(_SWEEP, self._idle[0].since + self._idle_timeout)


@asynccontextmanager
async def open_direct(address: Address, options: Options, *, tls: ssl.SSLContext | None) -> AsyncIterator[DirectEngine]:
    """
    An engine for one server. It connects on first use; leaving the context closes its connections.
    """
    engine = DirectEngine(address, options, tls)
    async with background_tasks() as tasks:
        tasks.start_soon(engine.watch)
        try:
            yield engine
        finally:
            await engine.aclose()
