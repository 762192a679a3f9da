"""
Whose turn it is to read from a connection: its reader task's, or a lone caller's.

What lives here: the rules for who reads. What must not: sockets, waiting (see `_lone`).

Theory of operation: the task reads until a reply has come and no call is under way any more. Then nobody reads, and
the next caller reads for itself, which saves it the way through the task. If it ends as the only one, nobody reads
again; if others wait for replies, or it has failed, the task reads. So it does when some time has passed without a
call, because the end of the connection has to be noticed.
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
    Decides who reads from a connection.

    Attributes:
        reader: Who reads now.
    """

    def __init__(self) -> None:
        self.reader = Reader.TASK
        self._is_used = False

    def rest(self, *, is_alone: bool) -> bool:
        """
        The task has read.

        Args:
            is_alone: Whether one reply came and no call is under way.

        Returns:
            Whether it must stop reading.
        """
        if is_alone and self.reader is Reader.TASK:
            self.reader = Reader.NOBODY
            self._is_used = True
        return self.reader is not Reader.TASK

    def claim(self) -> bool:
        """
        Whether a caller that waits for a reply reads itself. If so, it must call `release`.
        """
        if self.reader is not Reader.NOBODY:
            return False
        self.reader = Reader.CALLER
        self._is_used = True
        return True

    def release(self, *, is_alone: bool) -> bool:
        """
        The caller has stopped reading.

        Args:
            is_alone: Whether its reply came alone, no other call is under way, and nothing has gone wrong.

        Returns:
            Whether the task must read now.
        """
        self.reader = Reader.NOBODY if is_alone else Reader.TASK
        return not is_alone

    def pass_time(self) -> None:
        """
        Some time has passed; the task reads if there was no call in it.
        """
        if self.reader is Reader.NOBODY and not self._is_used:
            self.reader = Reader.TASK
        self._is_used = False

    def recall(self) -> None:
        """
        The connection has ended: the task reads, if nobody else does.
        """
        if self.reader is Reader.NOBODY:
            self.reader = Reader.TASK
