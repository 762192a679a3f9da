"""
The error for a message over the limit, in the same words on every wire and on both sides.

What lives here: the words, and whether an error has them. What must not: limits, counting.
"""

from __future__ import annotations

import re
from typing import Literal

from remora.errors import MessageTooLarge

_WORDS = re.compile(r"the (?:request|reply) is larger than \d+ bytes \(max_message_size\)")


def too_large(what: Literal["request", "reply"], limit: int, *, sent: bool | None = None) -> MessageTooLarge:
    """
    The error for a message over the limit.

    Args:
        what: The message.
        limit: The most bytes that it may have.
        sent: False when the request certainly has not reached the plugin.
    """
    return MessageTooLarge(f"the {what} is larger than {limit} bytes (max_message_size)", sent=sent)


def means_too_large(message: str) -> bool:
    """
    Whether the other side has said in these words that a message is over its limit.
    """
    return _WORDS.fullmatch(message) is not None
