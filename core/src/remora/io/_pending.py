"""
Who waits for a reply.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remora.errors import InvalidReply, RemoraError
from remora.wire import decode_response

if TYPE_CHECKING:
    from remora.io._loop import Waiter
    from remora.types import Reply


class Pending:
    """
    A call in flight, and how it ended.

    Attributes:
        done: Awaited by who made the call, until it has ended.
        ticket: With which its request can be withdrawn from the outbox.
    """

    __slots__ = ("_content_type", "_error", "_message", "done", "ticket")

    def __init__(self, content_type: str, done: Waiter) -> None:
        self._content_type = content_type
        self._message = b""
        self._error: RemoraError | None = None
        self.done = done
        self.ticket = 0

    def succeed(self, message: bytes) -> None:
        """
        The response has arrived.
        """
        self._message = message
        if not self.done.done():
            self.done.set_result(None)

    def fail(self, error: RemoraError) -> None:
        """
        No response will arrive.
        """
        self._error = error
        if not self.done.done():
            self.done.set_result(None)

    def outcome(self) -> Reply:
        """
        The reply.

        Raises:
            RemoraError: There is none, or it is an error.
        """
        if self._error is not None:
            raise self._error
        try:
            answer = decode_response(self._message, self._content_type)
        except ValueError as error:
            raise InvalidReply(f"the reply is no ttrpc response: {error}") from error
        if isinstance(answer, RemoraError):
            raise answer
        return answer
