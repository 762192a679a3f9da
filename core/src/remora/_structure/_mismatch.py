"""
The error of a single value, and how values stand in messages.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_LONGEST = 40
_NOTHING: Final = object()


class Mismatch(ValueError):
    """
    A value is not what its type asks for.

    Attributes:
        expected: What was asked for.
        found: What was there instead, shortened; empty when it must not be shown.
        meant: What may have been meant by it.
    """

    def __init__(self, expected: str, found: object = _NOTHING, *, meant: str = "") -> None:
        self.expected = expected
        self.found: str = "" if found is _NOTHING else show(found)
        self.meant = meant
        super().__init__(self.in_words({}))

    def in_words(self, words: Mapping[str, str]) -> str:
        """
        The message, with other words for kinds of values.

        Args:
            words: By the words that they replace.
        """
        got = f", got {words.get(self.found, self.found)}" if self.found else ""
        meant = f'; did you mean "{self.meant}"?' if self.meant else ""
        return f"expected {words.get(self.expected, self.expected)}{got}{meant}"


def show(value: object) -> str:
    """
    A value as JSON writes it, in a few characters.
    """
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    text = json.dumps(value, ensure_ascii=False, default=lambda other: type(other).__name__)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def alternatives(words: Iterable[str]) -> str:
    """
    Words as a choice: `a, b or c`.
    """
    *most, last = dict.fromkeys(words)
    return f"{', '.join(most)} or {last}" if most else last
