"""
How a call that waits for its answer ends: with the bytes of a response (those of a large one in two pieces, see
`remora.wire.lift_from_response`), or with an error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remora.errors import InvalidReply, RemoraError
from remora.wire import decode_response

if TYPE_CHECKING:
    from remora.io._loop import Waiter
    from remora.types import Reply


def tell(waiter: Waiter, answer: RemoraError) -> None:
    """
    Wake a waiter with an answer, unless it is already being cancelled.
    """
    if not waiter.done():
        waiter.set_result(answer)


def outcome(answer: bytes | tuple[bytes, bytes] | RemoraError, content_type: str) -> Reply:
    """
    The reply in an answer.

    Args:
        answer: What the waiter was woken with.
        content_type: The format of the request.

    Raises:
        RemoraError: The answer is an error, or not a valid response.
    """
    try:
        if isinstance(answer, bytes):
            reply = decode_response(answer, content_type)
        elif isinstance(answer, tuple):
            rest, payload = answer
            reply = decode_response(rest, content_type, payload)
        else:
            reply = answer
    except ValueError as error:
        raise InvalidReply(f"the reply is not a ttrpc response: {error}") from error
    if isinstance(reply, RemoraError):
        raise reply
    return reply
