"""
A command line of Python, read as Python reads it.

What lives here: where the interpreter's options end, and what is run then. What must not: files.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_OPTION = re.compile(r"-([bBdEIOPqRsStuv]*)(?:([mWX])(.*)|(.?).*)", re.DOTALL)
_LONG = "--check-hash-based-pycs"


_OF_START = "ix"


class StartNeeded(ValueError):
    """
    An option has no effect in an interpreter that runs already, but a program may be executed with it.
    """


@dataclass(frozen=True, slots=True)
class PythonWords:
    """
    What the words after the interpreter's name mean.

    Attributes:
        options: What the interpreter itself reads.
        module: The module that is run; empty for a file, whose name is the last of the counted words then.
        count: How many words come before the program's arguments.
    """

    options: tuple[str, ...]
    module: str
    count: int


def python_words(words: Sequence[str]) -> PythonWords:
    """
    Read the words after the interpreter's name.

    Raises:
        StartNeeded: They have an option that is for the start of an interpreter.
        ValueError: They name neither a file nor a module, or have an option that runs none.
    """
    left, options = deque(words), list[str]()
    while left and left[0].startswith("-") and left[0] not in {"-", "--"}:
        flags, name, value = _parts(left.popleft())
        if name and not value:
            value = _next(left)
        if name == "-m":
            return PythonWords((*options, *flags), value, len(words) - len(left))
        options += [*flags, *([name, value] if name else [])]
    if left and left[0] == "--":
        left.popleft()
    if _next(left) == "-":
        raise ValueError(_NOTHING)
    return PythonWords(tuple(options), "", len(words) - len(left))


_NOTHING = "its arguments name neither a file nor a module"


def _parts(word: str) -> tuple[Sequence[str], str, str]:
    """
    The flags in a word, the option with a value that ends it, and this value; empty if there is none.
    """
    if word == _LONG:
        return [], word, ""
    found = _OPTION.fullmatch(word)
    assert found is not None  # every word that begins with a hyphen is one
    flags, letter, value, unknown = found.groups(default="")
    if unknown:
        raise _refusal(unknown, word)
    return [f"-{flags}"] if flags else [], letter and f"-{letter}", value


def _refusal(letter: str, word: str) -> ValueError:
    if letter == "c":
        return ValueError(_NOTHING)
    kind = StartNeeded if letter in _OF_START else ValueError
    return kind(f"a fork cannot have the option {letter} in {word}")


def _next(left: deque[str]) -> str:
    if not left or not left[0]:
        raise ValueError(_NOTHING)
    return left.popleft()
