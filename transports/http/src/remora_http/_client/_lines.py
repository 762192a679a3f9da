"""
Lines: connections of one server, each of which carries one exchange at a time.

What lives here: what a line is, and the choice of the kind that fits the running event loop. What must not: pools.
"""

from __future__ import annotations

import select
from functools import partial
from typing import TYPE_CHECKING, Protocol

import sniffio

from remora.errors import ConnectionLost
from remora.tls import tls_failure

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    from remora.errors import RemoraError
    from remora_http._address import Address
    from remora_http._client._answer_reader import AnswerReader

    Connect = Callable[[Address, ssl.SSLContext | None, AnswerReader], Awaitable["Line"]]


class Line(Protocol):
    """
    One connection.

    Attributes:
        reader: The reader of its answers.
        number: The number by which the pool knows it.
        since: When the last exchange has ended.
    """

    reader: AnswerReader
    number: int
    since: float

    def exchange(self, head: bytes, body: bytes) -> Awaitable[None]:
        """
        Send a request, and wait until the reader has the whole answer.

        Raises:
            ConnectionLost: The connection broke.
            RemoraError: The error of the reader, or the one that `end` was called with.
        """
        ...

    def end(self, error: RemoraError) -> None:
        """
        Close the line; the exchange under way ends with an error.
        """
        ...

    def close(self) -> None:
        """
        Close the line, whatever is under way.
        """
        ...

    def is_idle(self) -> bool:
        """
        Whether the line is open, and nothing has happened on it since the last exchange.
        """
        ...


def connector() -> Connect:
    """
    The function that makes lines on the running event loop.

    It raises OSError when no connection can be made.
    """
    if sniffio.current_async_library() == "trio":
        from remora_http._client._lines_trio import connect as connect_trio

        return connect_trio
    from remora_http._client._lines_asyncio import connect as connect_asyncio

    return connect_asyncio


def failure_of(line: Line, error: Exception) -> RemoraError:
    """
    The error of an exchange, for the one that its connection broke with.
    """
    reason = str(error.__cause__ or error) or "it was closed"
    return tls_failure(error) or ConnectionLost(f"the connection to {line.reader.peer} broke: {reason}")


def readiness(descriptor: int) -> Callable[[], object]:
    """
    A function that asks the kernel, without waiting, whether a socket has something to read, including its end. What
    it returns is true if so.
    """
    if hasattr(select, "poll"):
        poller = select.poll()
        poller.register(descriptor, select.POLLIN)
        return partial(poller.poll, 0)
    return lambda: select.select([descriptor], [], [], 0)[0]
