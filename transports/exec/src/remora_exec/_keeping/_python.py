"""
A program of Python, for a fork server: which interpreter runs it, with which options, and what that runs then.

What lives here: which interpreter, and which of the variables it gets. What must not: processes, and how command lines
are read (see `_first_line` and `_python_words`).

Only the variables in `_SHARED` reach the fork server itself, from which other plugins may be forked too: what the
interpreter reads when it starts. All others, and all secrets, reach only the program that they are meant for.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from remora.config import names_secret
from remora.errors import ConfigError
from remora_exec._command import current_directory
from remora_exec._keeping._first_line import words_before
from remora_exec._keeping._order import PythonMain
from remora_exec._keeping._python_words import StartNeeded, python_words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from remora_exec._command import Command
    from remora_exec._security._program import OpenProgram

_PYTHON = re.compile(r"(python|pypy)[0-9.]*t?")
_SHARED = re.compile(
    r"PATH|HOME|LANG|LANGUAGE|TZ|REMORA_BACKEND|REMORA_DISABLE|(LC_|LD_|PYTHON|MALLOC_|GLIBC_|OPENSSL_).*"
)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """
    What a fork server is: equal ones can share a process.

    Attributes:
        argv: The interpreter's path and its options.
        env: The variables that it is started with, sorted.
        preload: The modules that it imports before it forks.
        sha256: Its hash, if it was hashed.
        file: Its open file, if it was hashed: that is executed then.
    """

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    preload: tuple[str, ...] = ()
    sha256: str = ""
    file: OpenProgram | None = field(default=None, compare=False)

    @property
    def backend(self) -> str:
        """
        The event loop that is loaded in it.
        """
        return dict(self.env).get("REMORA_BACKEND") or "asyncio"


def python_of(
    command: Command, preload: Sequence[str] = (), *, file: OpenProgram | None = None, sha256: str = ""
) -> tuple[Interpreter, PythonMain]:
    """
    What forks a command, and how the fork runs it.

    Args:
        command: What would be executed otherwise.
        preload: The modules that the interpreter imports.
        file: The open file of its program, if that was hashed.
        sha256: The hash.

    Raises:
        StartNeeded: It has to be executed.
        ConfigError: Python does not run it, or not a file or a module.
    """
    is_own = _is_python(command.program)
    before = [] if is_own else _script_words(command, command.program if file is None else file.address)
    words = [*before, *command.argv]
    try:
        read = python_words(words[1:])
    except StartNeeded:
        raise
    except ValueError as error:
        raise _unsuitable(command, str(error)) from None
    count = read.count + 1
    runs_itself = not is_own and not read.module and count - 1 == len(before)
    path = file.address if runs_itself and file is not None else "" if read.module else words[count - 1]
    interpreter = Interpreter((_inside(command, words[0]), *read.options), _shared(command), tuple(preload))
    if is_own and file is not None:
        interpreter = replace(interpreter, sha256=sha256, file=file)
    return interpreter, PythonMain(path, read.module, words, count)


def _is_python(path: str) -> bool:
    return _PYTHON.fullmatch(os.path.basename(path)) is not None


def _script_words(command: Command, address: str) -> Sequence[str]:
    """
    The interpreter that a script names, and its options.
    """
    try:
        words = words_before(command.program, address, command.env.get("PATH"))
    except OSError as error:
        raise ConfigError(f"{command.program} cannot be read: {error.strerror}") from error
    if not words or not _is_python(words[0]):
        raise _unsuitable(command, "Python does not run it")
    return words


def _unsuitable(command: Command, why: str) -> ConfigError:
    return ConfigError(f'{command.program} cannot be started with start_method = "forkserver": {why}')


def _inside(command: Command, path: str) -> str:
    """
    A path of the program, whose directory is not that of the fork server.
    """
    return os.path.join(command.work_dir or current_directory(), path)


def _shared(command: Command) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(_shared_items(command)))


def _shared_items(command: Command) -> Iterator[tuple[str, str]]:
    for name, value in command.env.items():
        if name == "PYTHONPATH" and value:
            yield name, os.pathsep.join(_inside(command, each) for each in value.split(os.pathsep))
        elif _SHARED.fullmatch(name) and not names_secret(name):
            yield name, value
