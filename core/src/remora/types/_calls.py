"""
Calls and their replies, as transports carry them and interceptors see them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """
    One call on its way to a plugin: everything that a transport carries, and a little that stays on its side.

    Attributes:
        service: The full name of the service; empty when the peer has only one.
        method: The name of the method; empty when the peer has only one.
        payload: The encoded request.
        content_type: The media type of the payload; empty when the peer is to decide.
        headers: Names in lower case, values without line breaks.
        deadline: When the call must have ended, in seconds on the clock of `anyio.current_time`; None for no limit.
        request_id: The identifier of the call, for logs on both sides.
        idempotent: Whether the call may be made twice.
        hash_key: What the call is about, for balancers that keep calls about one thing together; it is not sent.
        identity: On the plugin's side, the name in the caller's verified certificate; empty without one. Not sent.
    """

    service: str = ""
    method: str = ""
    payload: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    deadline: float | None = None
    request_id: str = ""
    idempotent: bool = False
    hash_key: str = ""
    identity: str = ""

    @property
    def name(self) -> str:
        """
        Service and method as one word, for messages.
        """
        return f"{self.service}/{self.method}".strip("/") or "(default method)"

    def with_headers(self, headers: Mapping[str, str]) -> Call:
        """
        The same call with these headers instead of its own. Does what `dataclasses.replace` does, in a tenth of the
        time.
        """
        draft: Any = _Draft()  # see `remora._draft`
        draft.service = self.service
        draft.method = self.method
        draft.payload = self.payload
        draft.content_type = self.content_type
        draft.headers = headers
        draft.deadline = self.deadline
        draft.request_id = self.request_id
        draft.idempotent = self.idempotent
        draft.hash_key = self.hash_key
        draft.identity = self.identity
        draft.__class__ = Call
        call: Call = draft
        return call


class _Draft:
    __slots__ = Call.__slots__


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """
    The answer to a call that succeeded.

    Attributes:
        payload: The encoded answer.
        content_type: The media type of the payload.
        headers: Names in lower case.
    """

    payload: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
