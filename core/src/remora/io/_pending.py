"""
Who waits for a reply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from remora.errors import InvalidReply, RemoraError
from remora.wire import decode_response

if TYPE_CHECKING:
    from remora.types import Call, Reply


class Pending:
    """
    A call in flight, and how it ended.

    Attributes:
        done: Set when it has ended.
        ticket: With which its request can be withdrawn from the outbox.
    """

    __slots__ = ("_call", "_error", "_message", "done", "ticket")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._message = b""
        self._error: RemoraError | None = None
        self.done = anyio.Event()
        self.ticket = 0

    def succeed(self, message: bytes) -> None:
        """
        The response has arrived.
        """
        self._message = message
        self.done.set()

    def fail(self, error: RemoraError) -> None:
        """
        No response will arrive.
        """
        self._error = error
        self.done.set()

    def outcome(self) -> Reply:
        """
        The reply.

        Raises:
            RemoraError: There is none, or it is an error.
        """
        if self._error is not None:
            raise self._error
        try:
            answer = decode_response(self._message, self._call.content_type)
        except ValueError as error:
            raise InvalidReply(f"the reply is no ttrpc response: {error}") from error
        if isinstance(answer, RemoraError):
            raise answer
        return answer
