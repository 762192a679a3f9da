"""
Modules of a program that have the name of another one which its fork server has loaded.

What lives here: finding one, in the process that would fork the program, before it does. What must not: what happens
then (see `_warden`).

Executed, the program would import its own module, and in a fork it would get the loaded one. What the interpreter loads
by itself before any program is no matter, since that comes before the program's own modules in any case.
"""

from __future__ import annotations

import os
import sys
import zipimport
from contextlib import suppress
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.machinery import ModuleSpec

    from remora_exec._keeping._order import Order, PythonMain

_LOADERS = (
    (ExtensionFileLoader, EXTENSION_SUFFIXES),
    (SourceFileLoader, SOURCE_SUFFIXES),
    (SourcelessFileLoader, BYTECODE_SUFFIXES),
)
_archives: dict[str, dict[str, object]] = zipimport._zip_directory_cache  # type: ignore[attr-defined]
"""What `zipimport` remembers of archives by their paths. A program is to find what is there when it runs."""


class Namesakes:
    """
    Finds what programs would import, if the modules loaded by now did not keep them from it.

    Args:
        before: The names of the modules that were loaded when the interpreter had started.
    """

    def __init__(self, before: Iterable[str]) -> None:
        of_start = {_top(each) for each in before}.union(sys.builtin_module_names)
        self._names = {_top(each) for each in sys.modules} - of_start

    def of(self, order: Order) -> str:
        """
        The name of such a module of a program of Python; empty if it has none.
        """
        if order.main is None:
            return ""
        with suppress(OSError, ImportError, ValueError):  # the program will see what is wrong with its directory
            return self._in_place(_first_place(order.main, order.directory))
        return ""

    def _in_place(self, place: str) -> str:
        if not place:
            return ""
        if os.path.isdir(place):
            common = self._names.intersection(map(_stem, os.listdir(place)))
            return _first(common, FileFinder(place, *_LOADERS)) if common else ""
        try:
            archive = zipimport.zipimporter(place)
            common = self._names.intersection(_stem(each.partition(os.sep)[0]) for each in _archives[place])
            return _first(common, archive)
        finally:
            _archives.pop(place, None)


def _first_place(main: PythonMain, directory: str) -> str:
    """
    The directory or the archive where the program's imports are looked up first; empty if it has none of its own.
    """
    if main.module:
        return "" if sys.flags.safe_path else directory
    path = os.path.join(directory, main.words[main.count - 1])
    if os.path.isdir(path) or _is_archive(path):
        return path
    return "" if sys.flags.safe_path else os.path.dirname(os.path.realpath(path))


def _is_archive(path: str) -> bool:
    try:
        zipimport.zipimporter(path)
    except zipimport.ZipImportError:
        return False
    finally:
        _archives.pop(path, None)
    return True


def _first(names: Iterable[str], finder: FileFinder | zipimport.zipimporter) -> str:
    found = ((name, finder.find_spec(name)) for name in sorted(names))
    return next((name for name, spec in found if spec is not None and _is_another(name, spec)), "")


def _is_another(name: str, spec: ModuleSpec) -> bool:
    """
    Whether a module is not the loaded one of its name. A directory that is no package is not found before others are.
    """
    loaded = getattr(sys.modules[name], "__spec__", None)
    here, there = spec.origin, loaded and loaded.origin
    if spec.loader is None or here == there:
        return False
    return not (here and there and os.path.exists(here) and os.path.exists(there) and os.path.samefile(here, there))


def _top(name: str) -> str:
    return name.partition(".")[0]


_stem = _top  # of a file's name
