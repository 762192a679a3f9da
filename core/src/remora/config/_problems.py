"""
Problems of a configuration, each a line that begins with the path of its key.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def summary(problems: Sequence[str], source: str | None = None) -> str:
    """
    Problems as the message of one error, a line each, also where a name has a line break; those of a file name it
    already.
    """
    lines = [problem.replace("\n", "\\n") for problem in problems]
    if len(lines) == 1:
        return lines[0]
    prefix = f"{source}: " if source else ""
    return f"{prefix}{len(lines)} problems\n" + "\n".join(f"  {line}" for line in lines)


def add(lines: Iterable[str], problems: list[str]) -> None:
    """
    Add lines for the paths that have none yet: a missing variable is no wrong value as well.
    """
    known = {line.partition(": ")[0] for line in problems}
    problems += [line for line in lines if line.partition(": ")[0] not in known]


def meant(word: str, known: Iterable[str]) -> str:
    """
    The end of a message about a word that is close to a known one.
    """
    close = get_close_matches(word, known, n=1)
    return f'; did you mean "{close[0]}"?' if close else ""
