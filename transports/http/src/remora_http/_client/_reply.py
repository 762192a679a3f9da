"""
Answers: which of them are replies, and which are not what was asked for.

What lives here: an answer in, a reply or an error out. What must not: connections.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from remora.errors import InvalidReply
from remora.wire import make_reply
from remora_http._failure import quote_body, read_failure
from remora_http._headers import media_type
from remora_http._status import SUCCESS

if TYPE_CHECKING:
    from remora.types import Reply
    from remora_http._failure import Answer

_JSON = "application/json"
# What servers call their JSON when their author has not set a content type.
_UNNAMED = frozenset({"text/plain", "text/json", "application/octet-stream"})


def read_reply(answer: Answer, asked: str) -> Reply:
    """
    The reply in a server's answer.

    Args:
        answer: What the server answered.
        asked: The content type of the request; the reply's must be the same.

    Raises:
        PluginError: It is an error.
        InvalidReply: It has another content type than the request.
    """
    if answer.status not in SUCCESS:
        raise read_failure(answer, now=time.time())
    found = answer.headers.get("content-type", "")
    content_type = found if found == asked else _agreed(media_type(asked), media_type(found))
    if content_type is None:
        raise InvalidReply(f"the reply is {media_type(found)} where {asked} was asked for: {quote_body(answer.body)}")
    return make_reply(answer.body, content_type, answer.own)


def _agreed(asked: str, found: str) -> str | None:
    if found == asked or not asked or not found:
        return found or asked
    is_json = asked == _JSON and (found in _UNNAMED or found.endswith("+json"))
    return asked if is_json else None
