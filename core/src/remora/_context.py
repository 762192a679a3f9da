"""
The call that a handler is answering.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import field
from typing import TYPE_CHECKING, Any

import anyio

from remora._frozen import dataclass

if TYPE_CHECKING:
    from remora.types import Call

__all__ = ["CurrentCall", "current_call"]


@dataclass(frozen=True, slots=True)
class CurrentCall:
    """
    What a handler can learn about the call that it is answering.

    Attributes:
        service: The service that was called.
        method: The method that was called.
        headers: The caller's headers; names in lower case.
        request_id: The identifier of the call in all logs.
        deadline: In seconds on the clock of `anyio.current_time`; None for no limit.
        peer: The caller's address, as far as the transport knows it.
        reply_headers: Headers to send with the reply; the handler may add its own.
        identity: The caller's identity, as its credentials prove it; empty when none are required.
    """

    service: str
    method: str
    headers: dict[str, str] = field(repr=False)
    request_id: str
    deadline: float | None
    peer: str
    reply_headers: dict[str, str] = field(default_factory=dict, repr=False)
    identity: str = ""

    @classmethod
    def of(cls, call: Call, peer: str) -> CurrentCall:
        """
        The view of a call that has arrived from a peer.
        """
        draft: Any = _Draft()  # see `_draft`
        draft.service = call.service
        draft.method = call.method
        draft.headers = dict(call.headers)
        draft.request_id = call.request_id
        draft.deadline = call.deadline
        draft.peer = peer
        draft.reply_headers = {}
        draft.identity = call.identity
        draft.__class__ = cls
        current: CurrentCall = draft
        return current

    @property
    def remaining(self) -> float | None:
        """
        Seconds left to answer, never negative; None for no limit.
        """
        return None if self.deadline is None else max(0.0, self.deadline - _now())


class _Draft:
    __slots__ = CurrentCall.__slots__


def _now() -> float:
    """
    The event loop's time in seconds, also in the thread of a synchronous handler.
    """
    try:
        return anyio.current_time()
    except anyio.NoEventLoopError:
        from anyio import from_thread  # only a synchronous handler needs it

        return from_thread.run_sync(anyio.current_time)


handled_call: ContextVar[CurrentCall | None] = ContextVar("remora_handled_call", default=None)


def current_call() -> CurrentCall:
    """
    The call that is being answered.

    Raises:
        LookupError: No handler is running here.
    """
    call = handled_call.get()
    if call is None:
        raise LookupError("current_call() is for handlers: no call is being answered here")
    return call
