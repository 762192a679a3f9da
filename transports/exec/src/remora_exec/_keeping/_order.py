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

    from remora_exec._keeping._python import Interpreter

_FORMAT = 4  # of `marshal`, the same for all versions of Python that may be at the other end


class PythonMain:
    """
    How a program of Python is run by a fork of its interpreter.

    Attributes:
        path: The file that is run; empty for a module.
        module: The name of the module that is run; empty for a file.
        words: The command line that the interpreter would have been started with.
        count: How many of these words come before the program's arguments.
    """

    __slots__ = ("count", "module", "path", "words")

    def __init__(self, path: str, module: str, words: Sequence[str], count: int) -> None:
        self.path = path
        self.module = module
        self.words = tuple(words)
        self.count = count

    @property
    def argv(self) -> list[str]:
        """
        What the program finds in `sys.argv`.
        """
        return ["-m" if self.module else self.words[self.count - 1], *self.words[self.count :]]

    def encoded(self) -> tuple[bytes, bytes, tuple[bytes, ...], int]:
        """
        What it is made of, as part of an order.
        """
        return os.fsencode(self.path), os.fsencode(self.module), _encoded(self.words), self.count


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
        main: How a fork runs it; None when it is executed.
        interpreter: What forks it, for whoever starts it; not among the bytes.
    """

    __slots__ = (
        "argv", "descriptors", "directory", "env", "executable", "interpreter", "limits", "main", "no_new_privileges",
    )  # fmt: skip

    def __init__(
        self,
        argv: Sequence[str],
        executable: str,
        env: Mapping[str, str],
        directory: str,
        descriptors: Sequence[int],
        limits: Sequence[tuple[int, int, int]],
        no_new_privileges: bool,
        main: PythonMain | None = None,
        interpreter: Interpreter | None = None,
    ) -> None:
        self.argv = tuple(argv)
        self.executable = executable
        self.env = dict(env)
        self.directory = directory
        self.descriptors = tuple(descriptors)
        self.limits = tuple(limits)
        self.no_new_privileges = no_new_privileges
        self.main = main
        self.interpreter = interpreter

    def to_execute(self) -> Order:
        """
        The same order for a program that is executed, not forked.
        """
        return Order(
            self.argv,
            self.executable,
            self.env,
            self.directory,
            self.descriptors,
            self.limits,
            self.no_new_privileges,
        )

    def pack(self) -> bytes:
        """
        The order as bytes, with their length in front.
        """
        main = None if self.main is None else self.main.encoded()
        env = {os.fsencode(name): os.fsencode(value) for name, value in self.env.items()}
        files = (os.fsencode(self.executable), env, os.fsencode(self.directory), self.descriptors)
        order = (_encoded(self.argv), *files, self.limits, self.no_new_privileges, main)
        data = marshal.dumps(order, _FORMAT)
        return len(data).to_bytes(4, "big") + data


def unpack(data: bytes) -> Order:
    """
    The order in packed bytes, without the length.
    """
    argv, executable, env, directory, descriptors, limits, no_new_privileges, main = marshal.loads(data)
    return Order(
        _decoded(argv),
        os.fsdecode(executable),
        {os.fsdecode(name): os.fsdecode(value) for name, value in env.items()},
        os.fsdecode(directory),
        descriptors,
        limits,
        no_new_privileges,
        main and PythonMain(os.fsdecode(main[0]), os.fsdecode(main[1]), _decoded(main[2]), main[3]),
    )


def _encoded(texts: Sequence[str]) -> tuple[bytes, ...]:
    return tuple(os.fsencode(each) for each in texts)


def _decoded(texts: Sequence[bytes]) -> tuple[str, ...]:
    return tuple(os.fsdecode(each) for each in texts)
