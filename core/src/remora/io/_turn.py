"""
Whose turn it is to read from a connection: that of the task that is there for it, or of a caller who is alone.

What lives here: the rules. What must not: sockets, waiting (see `_lone`).

Theory of operation: the task reads, until a reply has come and no call is under way any more. Then nobody reads, and
who calls next reads for itself, which spares it the way through the task. Where it ends as the only one, nobody reads
again; where others wait for replies, or it has failed, the task reads. So does it when a while has passed without a
call, because the end of a connection is to be noticed.
"""

from __future__ import annotations

from enum import Enum, auto


class Reader(Enum):
    """
    Who reads.
    """

    TASK = auto()
    NOBODY = auto()
    CALLER = auto()


class Turn:
    """
    Who reads now, and who does next.

    Attributes:
        reader: Who.
    """

    def __init__(self) -> None:
        self.reader = Reader.TASK
        self._is_used = False

    def rest(self, *, is_alone: bool) -> bool:
        """
        The task has read.

        Args:
            is_alone: Whether one reply came, and no call is under way.

        Returns:
            Whether it reads no more.
        """
        if is_alone and self.reader is Reader.TASK:
            self.reader = Reader.NOBODY
            self._is_used = True
        return self.reader is not Reader.TASK

    def claim(self) -> bool:
        """
        A caller waits for a reply; whether it is to read itself. If so, it has to `release`.
        """
        if self.reader is not Reader.NOBODY:
            return False
        self.reader = Reader.CALLER
        self._is_used = True
        return True

    def release(self, *, is_alone: bool) -> bool:
        """
        The caller reads no more.

        Args:
            is_alone: Whether its reply came alone, no other call is under way, and nothing has gone wrong.

        Returns:
            Whether the task has to read now.
        """
        self.reader = Reader.NOBODY if is_alone else Reader.TASK
        return not is_alone

    def pass_time(self) -> None:
        """
        A while has passed; the task reads if there was no call in it.
        """
        if self.reader is Reader.NOBODY and not self._is_used:
            self.reader = Reader.TASK
        self._is_used = False

    def recall(self) -> None:
        """
        The connection ends: the task reads, if nobody does.
        """
        if self.reader is Reader.NOBODY:
            self.reader = Reader.TASK
