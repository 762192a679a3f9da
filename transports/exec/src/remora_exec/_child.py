"""
A child as its process sees it, whoever has started it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from remora_exec._order import Order


class Child(Protocol):
    """
    A program that was started, the leader of a session and of a process group.

    Attributes:
        pid: Its number, which is nobody else's until it has been reaped.
        stderr: What it writes to its standard error; whoever reads it closes it.
    """

    pid: int
    stderr: int

    async def wait(self) -> None:
        """
        Wait until it has ended. It is not reaped.
        """

    def reap(self) -> int:
        """
        Its exit status, negative for a signal; from now on its number may be somebody else's.
        """
        ...

    async def gone(self) -> None:
        """
        Wait until all that it started has ended too, as far as that is known.
        """

    def close(self) -> None:
        """
        Give back what is held for it.
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
