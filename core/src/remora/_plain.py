"""
Text from outside, made safe for logs and terminals.

What lives here: text to text. What must not: where the text goes.
"""

from __future__ import annotations

import re

_UNSAFE = "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"


def printable(text: str, *, most: int | None = None) -> str:
    """
    A text in one line that is safe to print: line breaks, control characters and those that change the direction of
    text are escaped.

    Args:
        text: Any text.
        most: The maximum number of its characters; the rest is left out.
    """
    if most is not None:
        text = shortened(text, most=most)
    return re.sub(_UNSAFE, lambda found: found[0].encode("unicode_escape").decode(), text)


def shortened(text: str, *, most: int = 1000) -> str:
    """
    The beginning of a text that is to be kept or shown, since a plugin's error may be as large as a reply.
    """
    return text if len(text) <= most else f"{text[:most]} ..."
