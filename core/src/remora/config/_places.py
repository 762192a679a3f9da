"""
Where values of a configuration come from: the paths of keys, and the lines of files or the variables that set them.

What lives here: records and look-ups. What must not: reading anything.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

from remora._frozen import dataclass
from remora._structure import join_path as join_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    Path = tuple[str | int, ...]
    Lines = Mapping[Path, int]
    Places = dict[str, "Place"]

PREFIX = "REMORA__"
"""How the names of variables begin that set keys."""

_WORD = re.compile(r"[a-z_]+")


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where a value was set.

    Attributes:
        source: The file, or the environment variable.
        line: The line of the file, counted from 1; None where there are no lines.
        via: The table of defaults that handed it on; empty when it was set for the key itself.
    """

    source: str
    line: int | None = None
    via: str = ""

    @property
    def is_variable(self) -> bool:
        """
        Whether the environment set it.
        """
        return self.source.startswith(PREFIX)

    def __str__(self) -> str:
        where = self.source if self.line is None else f"{self.source}:{self.line}"
        return f"{where} [{self.via}]" if self.via else where


def join_path(path: str, key: object) -> str:
    """
    The path of a key below another, as messages write it: the names of plugins stand there without quotes.
    """
    return f"plugins.{key}" if path == "plugins" else join_key(path, key)


def path_text(path: Iterable[str | int]) -> str:
    """
    A path as messages write it.
    """
    text = ""
    for key in path:
        text = join_path(text, key)
    return text


def places_of(lines: Lines, source: str) -> Places:
    """
    The places of what a file sets.
    """
    return {path_text(path): Place(source, line) for path, line in lines.items()}


def nearest(places: Mapping[str, Place], path: str) -> Place | None:
    """
    The place of a path, or else that of the closest table around it.
    """
    while path and path not in places:
        path = _around(path)
    return places.get(path)


def _around(path: str) -> str:
    return path[: max(path.rfind("."), path.rfind("["), 0)]


def hand_on(places: Places, value: object, source: str, target: str, *, via: str = "") -> None:
    """
    Let a value and all that is in it count as set at another path too.
    """
    if (place := places.get(source)) is not None:
        places.setdefault(target, replace(place, via=via or place.via))
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inside:
        hand_on(places, each, join_path(source, key), join_path(target, key), via=via)


def is_below(path: str, parent: str) -> bool:
    """
    Whether a path is another one, or leads through it.
    """
    return path.startswith(parent) and path[len(parent) : len(parent) + 1] in ("", ".", "[")


def placed(line: str, places: Mapping[str, Place], source: str | None) -> str:
    """
    A problem, which begins with its path, with the file and the line in front of it; behind it stand the variables that
    have set other keys that it is about.
    """
    if source is None:
        return line
    path, _, reason = line.partition(": ")
    place = nearest(places, path)
    others = ", ".join(_set_by_variables(path, reason, places))
    return f"{replace(place, via='') if place else source}: {line}{f' ({others})' if others else ''}"


def _set_by_variables(path: str, reason: str, places: Mapping[str, Place]) -> Iterator[str]:
    """
    The variables to which a table is due that no file has, or whose keys the reason names, such as one of two that do
    not go together.
    """
    words = _WORD.findall(reason)
    table = path
    while table not in places and _around(table) and _around(table) not in places:
        table = _around(table)
    for key, place in places.items():
        if not place.is_variable or is_below(path, key):
            continue
        is_named = _around(key) in (path, _around(path)) and key.rpartition(".")[2] in words
        if is_named or (table not in places and is_below(key, table)):
            yield f"{place.source} sets {key}"
