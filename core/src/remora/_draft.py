"""
Making calls and replies quickly, on the path of every call.

A frozen record sets its fields one by one through `object.__setattr__`, and ten of those take longer than all policies
of a call together. A draft has the same fields but is not frozen; once all are set, its `__class__` is changed to that
of the record. The interpreter allows this for classes of the same layout, and the result is like any other record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from remora.types import Call, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping


class _Call:
    __slots__ = Call.__slots__


class _Reply:
    __slots__ = Reply.__slots__


def make_call(
    service: str,
    method: str,
    payload: bytes,
    content_type: str,
    headers: Mapping[str, str],
    deadline: float | None,
    request_id: str,
    idempotent: bool,
    hash_key: str,
    identity: str,
) -> Call:
    """
    The same as `Call(...)`; takes all fields, in their order.
    """
    draft: Any = _Call()
    draft.service = service
    draft.method = method
    draft.payload = payload
    draft.content_type = content_type
    draft.headers = headers
    draft.deadline = deadline
    draft.request_id = request_id
    draft.idempotent = idempotent
    draft.hash_key = hash_key
    draft.identity = identity
    draft.__class__ = Call
    call: Call = draft
    return call


def make_reply(payload: bytes, content_type: str, headers: Mapping[str, str]) -> Reply:
    """
    The same as `Reply(...)`; takes all fields, in their order.
    """
    draft: Any = _Reply()
    draft.payload = payload
    draft.content_type = content_type
    draft.headers = headers
    draft.__class__ = Reply
    reply: Reply = draft
    return reply
