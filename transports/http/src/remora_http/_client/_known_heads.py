"""
Heads of answers that a server sends again and again: recognised by their bytes, instead of being parsed each time.

What lives here: which heads are known. What must not: reading a head for the first time (see `_answer_reader`).

What is known about a head was found by the parser, which would find the same in the same bytes again. One line may
differ: the id of the call, which Remora's own server repeats at the end of the head.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remora_http._failure import Answer
from remora_http._headers import HeaderReader

if TYPE_CHECKING:
    from collections.abc import Mapping

_LONGEST = 1024
"""The size in bytes up to which a head is remembered."""
_MOST = 64
_END = b"\r\n\r\n"
_ID = b"\r\nx-request-id: "


class KnownHeads:
    """
    The heads of one server's answers: those with status 200, a body as long as they say, and a connection that stays.

    Attributes:
        headers: Reads the headers of heads that are parsed.
    """

    def __init__(self) -> None:
        self.headers = HeaderReader()
        self._known: dict[bytes, tuple[int, Mapping[str, str], dict[str, str]]] = {}

    def recognise(self, data: memoryview) -> Answer | None:
        """
        The answer that the bytes are; None unless its head is known, and nothing is missing or follows.
        """
        beginning = data[:_LONGEST].tobytes()
        end = beginning.find(_END)
        if end < 0:
            return None
        size = end + len(_END)
        head = beginning[:size]
        known = self._known.get(head) or self._known.get(_without_id(head))
        if known is None:
            return None
        length, headers, own = known
        if len(data) != size + length:
            return None
        return Answer(200, headers, own.copy(), beginning[size:] if len(data) <= _LONGEST else data[size:].tobytes())

    def learn(self, data: memoryview, answer: Answer) -> None:
        """
        Remember the head of an answer that is all there is in the bytes.
        """
        beginning = data[:_LONGEST].tobytes()
        end = beginning.find(_END)
        size = end + len(_END)
        if end < 0 or len(data) != size + len(answer.body):
            return
        if len(self._known) >= _MOST:  # heads with a date, for instance, are of no use after a second
            self._known.clear()
        headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
        self._known[_without_id(beginning[:size])] = len(answer.body), headers, dict(answer.own)


def _without_id(head: bytes) -> bytes:
    line = head.rfind(_ID)
    return head[:line] if line >= 0 and head[line + len(_ID) : -len(_END)].isalnum() else head
