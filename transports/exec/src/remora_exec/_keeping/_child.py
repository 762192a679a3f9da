"""
A child process, however it was started.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import anyio

if TYPE_CHECKING:
    from remora_exec._keeping._order import Order


class Child(Protocol):
    """
    A program that was started, the leader of a session and of a process group.

    Attributes:
        pid: Its process id, which is not reused until it has been reaped.
        stderr: The reading end of its standard error, closed by whoever reads it.
        exit_status: None until it has been reaped; negative for a signal.
    """

    pid: int
    stderr: int
    exit_status: int | None

    def fileno(self) -> int:
        """
        A descriptor that becomes readable when `has_ended` knows more than it did.
        """
        ...

    def has_ended(self) -> bool:
        """
        Whether it has ended, as far as is known now. It is not reaped yet.
        """
        ...

    def reap(self) -> None:
        """
        Reap it, which sets its exit status. From now on its process id may be reused.
        """

    async def gone(self) -> None:
        """
        Wait until all processes that it started have ended as well, as far as they are known.
        """

    def close(self) -> None:
        """
        Release what is held for it.
        """


async def ended(child: Child) -> None:
    """
    Wait until a child has ended.
    """
    while not child.has_ended():
        await anyio.wait_readable(child.fileno())


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
