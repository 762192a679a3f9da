"""
The entry points of installed distributions, read straight from directories where that is possible.

A host waits for a served program to start, and loading `importlib_metadata` takes longer than all the rest of the scan.
What this module cannot read by itself (archives, import hooks that know distributions of their own) is left to that
library, and so are names and versions, which only messages show.
"""

from __future__ import annotations

import os
import re
import sys
from collections import defaultdict
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

_SUFFIXES = (".dist-info", ".egg-info")
_METADATA = ("METADATA", "PKG-INFO")
_SEPARATORS = re.compile(r"[-_.]+")


class EntryPoint(Protocol):
    """
    An entry point of a distribution: the part of `importlib_metadata.EntryPoint` that is needed here.
    """

    @property
    def name(self) -> str:
        """
        Its name within the group.
        """
        ...

    @property
    def dist(self) -> Any:
        """
        The distribution, as `importlib_metadata` describes it.
        """
        ...

    def load(self) -> Any:
        """
        What it stands for.
        """
        ...


class FoundEntryPoint:
    """
    An entry point that was read from a directory.
    """

    __slots__ = ("_folder", "_value", "name")

    def __init__(self, name: str, value: str, folder: str) -> None:
        self.name = name
        self._value = value
        self._folder = folder

    @property
    def dist(self) -> Any:
        """
        The distribution, as `importlib_metadata` describes it.
        """
        from importlib_metadata import Distribution  # needed only for messages

        return Distribution.at(self._folder)

    def load(self) -> Any:
        """
        What it stands for.
        """
        module, _, attributes = self._value.partition("[")[0].partition(":")
        found: Any = import_module(module.strip())
        for name in filter(None, attributes.strip().split(".")):
            found = getattr(found, name)
        return found


def entry_points(group: str) -> list[EntryPoint]:
    """
    The entry points of a group, of all installed distributions.
    """
    if _others_know_distributions() or not all(map(_is_plain, _path())):
        import importlib_metadata

        return list(importlib_metadata.entry_points(group=group))
    return [found for folder in _folders() for found in _read(folder, group)]


def _path() -> list[str]:
    """
    The texts in `sys.path`; whatever else a program has put there, such as a `Path`, Python passes over.
    """
    found: list[object] = [*sys.path]
    return [entry for entry in found if isinstance(entry, str)]


def _others_know_distributions() -> bool:
    ours = ("importlib.machinery", "_frozen_importlib_external", "importlib_metadata")
    return any(hasattr(each, "find_distributions") and _home(each) not in ours for each in sys.meta_path)


def _home(finder: object) -> str:
    return finder.__module__ if isinstance(finder, type) else type(finder).__module__


def _is_plain(entry: str) -> bool:
    return not (entry.endswith(".egg") or os.path.isfile(entry))


def _folders() -> Iterator[str]:
    """
    The metadata folder of each distribution: the first on the path, preferably one that has metadata in it.
    """
    found: dict[str, list[str]] = defaultdict(list)
    for entry in dict.fromkeys(_path()):
        for name in _listed(entry or "."):
            if name.endswith(_SUFFIXES):
                found[_normal(name)].append(os.path.join(entry, name))
    for folders in found.values():
        yield folders[0] if len(folders) == 1 else next(filter(_has_metadata, folders), folders[0])


def _listed(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:  # entries of the path need not exist
        return []


def _normal(folder: str) -> str:
    return _SEPARATORS.sub("_", folder.rpartition(".")[0].partition("-")[0]).lower()


def _has_metadata(folder: str) -> bool:
    return any(os.path.exists(os.path.join(folder, name)) for name in _METADATA)


def _read(folder: str, group: str) -> Iterator[FoundEntryPoint]:
    try:
        with open(os.path.join(folder, "entry_points.txt"), encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError):
        return
    section = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            section = line.strip("[]")
        elif line and not line.startswith("#") and section == group:
            name, _, value = line.partition("=")
            yield FoundEntryPoint(name.strip(), value.strip(), folder)
