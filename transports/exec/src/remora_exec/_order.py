"""
What a program is started with, in terms of the operating system, and as bytes for another process.

What lives here: the record. What must not: anything heavy, since the keeper loads it: no dataclass, no enum, no typing.
"""

from __future__ import annotations

import marshal
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Order:
    """
    A program, ready to be started.

    Attributes:
        argv: Its name and its arguments.
        executable: The file that is executed.
        env: Its whole environment.
        directory: Its working directory; empty for that of the process that starts it.
        descriptors: The descriptors that it gets in addition to its standard streams, under the same numbers.
        limits: The number, the soft and the hard value of each limit.
        no_new_privileges: Whether it gains no privileges from set-user-id files.
    """

    __slots__ = ("argv", "descriptors", "directory", "env", "executable", "limits", "no_new_privileges")

    def __init__(
        self,
        argv: Sequence[str],
        executable: str,
        env: Mapping[str, str],
        directory: str,
        descriptors: Sequence[int],
        limits: Sequence[tuple[int, int, int]],
        no_new_privileges: bool,
    ) -> None:
        self.argv = tuple(argv)
        self.executable = executable
        self.env = dict(env)
        self.directory = directory
        self.descriptors = tuple(descriptors)
        self.limits = tuple(limits)
        self.no_new_privileges = no_new_privileges

    def pack(self) -> bytes:
        """
        The order as bytes, with their length in front; only the same interpreter can read it back.
        """
        argv = tuple(os.fsencode(each) for each in self.argv)
        env = {os.fsencode(name): os.fsencode(value) for name, value in self.env.items()}
        files = (os.fsencode(self.executable), env, os.fsencode(self.directory))
        data = marshal.dumps((argv, *files, self.descriptors, self.limits, self.no_new_privileges))
        return len(data).to_bytes(4, "big") + data


def unpack(data: bytes) -> Order:
    """
    The order in packed bytes, without the length.
    """
    argv, executable, env, directory, descriptors, limits, no_new_privileges = marshal.loads(data)
    return Order(
        [os.fsdecode(each) for each in argv],
        os.fsdecode(executable),
        {os.fsdecode(name): os.fsdecode(value) for name, value in env.items()},
        os.fsdecode(directory),
        descriptors,
        limits,
        no_new_privileges,
    )
