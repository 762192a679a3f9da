"""
A program of Python, for a fork server: which interpreter runs it, with which options, and what that runs then.

What lives here: reading command lines as Python and the system do. What must not: processes.

Only the variables in `_SHARED` reach the fork server itself, from which other plugins may be forked too: what the
interpreter reads when it starts. All others, and all secrets, reach only the program that they are meant for.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass, field, replace
from shutil import which
from typing import TYPE_CHECKING

from remora.config import names_secret
from remora.errors import ConfigError
from remora_exec._order import PythonMain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from remora_exec._command import Command
    from remora_exec._program import OpenProgram

_PYTHON = re.compile(r"(python|pypy)[0-9.]*t?")
_FLAG = re.compile(r"-[bBdEIOPqRsSuv]+|-[WX].+")
_WITH_VALUE = {"-W", "-X", "--check-hash-based-pycs"}
_SHARED = re.compile(r"PATH|HOME|LANG|LANGUAGE|TZ|REMORA_BACKEND|(LC_|LD_|PYTHON|MALLOC_|GLIBC_).*")
_FIRST_LINE = 256


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
        ConfigError: Python does not run it, or not a file or a module.
    """
    is_own = _is_python(command.program)
    words = [*([] if is_own else _first_line(command, file)), *command.argv]
    count = _options(command, words)
    interpreter = Interpreter((os.path.abspath(words[0]), *words[1:count]), _shared(command.env), tuple(preload))
    if is_own and file is not None:
        interpreter = replace(interpreter, sha256=sha256, file=file)
    return interpreter, PythonMain(_path(words[count], None if is_own else file), words, count)


def _path(word: str, file: OpenProgram | None) -> str:
    """
    What is run for the word after the options: the open file, if it was hashed.
    """
    if word == "-m":
        return ""
    return word if file is None else file.address


def _is_python(path: str) -> bool:
    return _PYTHON.fullmatch(os.path.basename(path)) is not None


def _first_line(command: Command, file: OpenProgram | None) -> Sequence[str]:
    """
    The interpreter that a script names, and its options.
    """
    line = _read_line(command.program if file is None else file.address)
    path, _, rest = line.removeprefix("#!").strip().partition(" ")
    words = [path, *([rest.strip()] if rest.strip() else [])]
    if os.path.basename(path) == "env":
        name, *options = shlex.split(rest.strip().removeprefix("-S")) or [""]
        words = [which(name, path=command.env.get("PATH", os.defpath)) or name, *options]
    if not line.startswith("#!") or not _is_python(words[0]):
        raise _unsuitable(command, "Python does not run it")
    return words


def _read_line(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return os.fsdecode(file.read(_FIRST_LINE).partition(b"\n")[0])
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error


def _options(command: Command, words: Sequence[str]) -> int:
    """
    How many of the words are the interpreter and its options; a file or a module follows.
    """
    count = 1
    while count < len(words) and (words[count] in _WITH_VALUE or _FLAG.fullmatch(words[count])):
        count += 2 if words[count] in _WITH_VALUE else 1
    rest = words[count:]
    if not rest or (rest[0].startswith("-") and (rest[0] != "-m" or len(rest) == 1)):
        raise _unsuitable(command, "its arguments name neither a file nor a module")
    return count


def _unsuitable(command: Command, why: str) -> ConfigError:
    return ConfigError(f'{command.program} cannot be started with start_method = "forkserver": {why}')


def _shared(env: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(_shared_items(env)))


def _shared_items(env: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in env.items():
        if _SHARED.fullmatch(name) and not names_secret(name):
            yield name, value
