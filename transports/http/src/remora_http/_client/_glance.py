"""
A look at a socket before waiting for it, on trio.

To wait for a socket costs more on trio than to let all other tasks have their turn. Where there are many, the peer has
answered by then, and there is nothing to wait for.
"""

from __future__ import annotations

_MOST = 255


class Glance:
    """
    Whether to look before waiting, by how often that was worth it lately; it has to be nearly always.

    Attributes:
        skips: How many more times to wait at once.
        pause: How many times that was after the last look.
    """

    __slots__ = ("pause", "skips")

    def __init__(self) -> None:
        self.skips = self.pause = 0

    def succeed(self) -> None:
        """
        There was something. Needless as long as `pause` is 0.
        """
        self.skips = self.pause = self.pause >> 1

    def fail(self) -> None:
        """
        There was nothing.
        """
        self.skips = self.pause = min(4 * self.pause + 3, _MOST)
