"""
What has been said in the log about the programs of one transport, so that not every start says it again.
"""

from __future__ import annotations

from threading import Lock


class Notices:
    """
    What was last said about each matter. Any number of threads may use it.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._said: dict[object, str] = {}

    def is_news(self, matter: object, words: str) -> bool:
        """
        Whether these words about a matter are to be said, as they are not those said last. Empty ones never are, but
        after them the same words are news again.
        """
        with self._lock:
            before = self._said.get(matter, "")
            self._said[matter] = words
        return words not in {"", before}
