"""
The first line of a script, which names what runs it.

What lives here: reading it as the system and `env` do, and the two lines that installers write instead when a path is
too long for the system. What must not: whether that is an interpreter of Python, and what its options mean.
"""

from __future__ import annotations

import os
import re
import shlex
from shutil import which

_MOST = 256  # bytes of a first line that the system looks at
_PREFIX = b"#!"
_BLANKS = re.compile(r"[ \t]+")
_UNREAD = re.compile(r"[$\\#]")
"""What `env -S` gives a meaning of its own."""

_WRAPPER = re.compile(rb"""#!/bin/sh\n'''exec' ([^\n]+) "\$0" "\$@"\n""")
_BESIDE = '"$(dirname -- "$(realpath -- "$0")")"/'
"""How a script that may be moved with its environment names the directory that it is in."""


def words_before(script: str, address: str, path: str | None) -> list[str]:
    """
    The words that the system would put before the name of a script; none when it is not a script, or not a usual one.

    Args:
        script: Its name.
        address: Where it is read.
        path: Where `env` looks for programs; None for where it does by itself.

    Raises:
        OSError: It cannot be read.
    """
    with open(address, "rb") as file:
        data = file.read(_MOST * 16)
    if wrapped := _WRAPPER.match(data):
        return _wrapped_words(script, os.fsdecode(wrapped[1]))
    line, end, _ = data[:_MOST].partition(b"\n")
    if not line.startswith(_PREFIX) or not (end or len(data) < _MOST):
        return []
    name, *rest = _BLANKS.split(os.fsdecode(line[len(_PREFIX) :]).strip(" \t"), maxsplit=1)
    return _words_of_env(rest, path) if os.path.basename(name) == "env" else [name, *rest]


def _wrapped_words(script: str, text: str) -> list[str]:
    if text.startswith(_BESIDE):
        text = f"{shlex.quote(os.path.dirname(os.path.realpath(script)))}/{text.removeprefix(_BESIDE)}"
    return _split(text)


def _words_of_env(rest: list[str], path: str | None) -> list[str]:
    text = rest[0] if rest else ""
    name, *options = (_split(text[2:]) if text.startswith("-S") else [text]) or [""]
    return [which(name, path=os.defpath if path is None else path) or name, *options]


def _split(text: str) -> list[str]:
    if _UNREAD.search(text):
        return []
    try:
        return shlex.split(text)
    except ValueError:  # a quotation has no end
        return []
