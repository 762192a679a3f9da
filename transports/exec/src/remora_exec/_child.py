"""
A child process, however it was started.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from remora_exec._order import Order


class Child(Protocol):
    """
    A program that was started, the leader of a session and of a process group.

    Attributes:
        pid: Its process id, which is not reused until it has been reaped.
        stderr: The reading end of its standard error, closed by whoever reads it.
    """

    pid: int
    stderr: int

    async def wait(self) -> None:
        """
        Wait until it has ended, without reaping it.
        """

    def reap(self) -> int:
        """
        Reap it; returns its exit status, negative for a signal. From now on its process id may be reused.
        """
        ...

    async def gone(self) -> None:
        """
        Wait until all processes that it started have ended as well, as far as they are known.
        """

    def close(self) -> None:
        """
        Release what is held for it.
        """


class Starter(Protocol):
    """
    Starts children that end when this process does.
    """

    async def start(self, order: Order, *, stdin: int, stdout: int) -> Child:
        """
        A child with these descriptors as its standard input and output.

        Raises:
            OSError: It cannot be run.
            Unavailable: The system has no room for another process.
        """
        ...
