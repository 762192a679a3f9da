"""
Other people's words, made fit for logs and terminals.

What lives here: text to text. What must not: where it goes.
"""

from __future__ import annotations

import re

_UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    """
    A text in one line that does nothing to a terminal: line breaks, control characters, and those that turn the order
    of letters around are escaped.
    """
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
