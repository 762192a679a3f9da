"""
From files to the tables in them, and to the place of each key: one file, or all fragments of a directory.

What lives here: reading, parsing and putting fragments together. What must not: what the keys mean.
"""

from __future__ import annotations

import os
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from remora._frozen import dataclass
from remora.config._content import read_content
from remora.config._formats import FORMATS
from remora.config._malformed import Malformed
from remora.config._places import join_path, places_of
from remora.config._problems import summary
from remora.errors import ConfigError, NotInstalled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remora.config._places import Places


_EMPTY = "the file is empty, as after a write that was cut short; put a comment into it if that is intended"


@dataclass(frozen=True, slots=True)
class Source:
    """
    What was read.

    Attributes:
        name: The file or the directory, as it was given.
        tables: The values in it.
        places: Where each key stands.
    """

    name: str
    tables: Any
    places: Places = field(default_factory=dict)


def read_source(path: str | os.PathLike[str], *, may_be_empty: bool = True) -> Source:
    """
    What is in a file, or in all fragments of a directory together.

    Args:
        path: The file or the directory.
        may_be_empty: Whether a file with nothing in it is taken to mean that.

    Raises:
        ConfigError: Something cannot be read or parsed, or two fragments set the same key.
    """
    name = os.fspath(path)
    if os.path.isdir(name):
        return _read_directory(name, may_be_empty=may_be_empty)
    return _read_file(name, may_be_empty=may_be_empty)


def fragments(directory: str | os.PathLike[str]) -> list[Path]:
    """
    The files of a directory that are part of a configuration, in the order of their names.

    Raises:
        OSError: The directory cannot be listed.
    """
    entries = sorted(Path(directory).iterdir(), key=lambda entry: entry.name)
    return [each for each in entries if is_fragment(each.name) and each.is_file()]


def is_fragment(name: str) -> bool:
    """
    Whether a file of that name is read as a part of its directory: it has a known ending, and is not hidden.
    """
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in FORMATS


def _read_directory(name: str, *, may_be_empty: bool) -> Source:
    try:
        files = fragments(name)
    except OSError as error:
        raise ConfigError(f"{name}: {error.strerror or error}", source=name) from error
    if not files:
        problem = f"no file in this directory ends in {', '.join(FORMATS)}"
        raise ConfigError(f"{name}: {problem}", source=name)
    parts, problems = _read_all(files, may_be_empty=may_be_empty)
    whole = Source(name, {})
    for part in parts:
        _merge(whole, part, problems)
    if problems:
        raise ConfigError(summary(problems, name), problems=problems, source=name)
    return whole


def _read_all(files: Sequence[Path], *, may_be_empty: bool) -> tuple[list[Source], list[str]]:
    parts: list[Source] = []
    problems: list[str] = []
    for file in files:
        try:
            part = _read_file(str(file), may_be_empty=may_be_empty)
        except NotInstalled:
            raise
        except ConfigError as error:
            problems += error.problems
            continue
        if isinstance(part.tables, dict):
            parts.append(part)
        else:
            problems.append(f"{file}: the configuration must be a table whose keys are text")
    return parts, problems


def _merge(whole: Source, part: Source, problems: list[str]) -> None:
    _merge_tables(whole, part, whole.tables, part.tables, "", problems)
    for path, place in part.places.items():
        whole.places.setdefault(path, place)


def _merge_tables(
    whole: Source, part: Source, into: dict[str, Any], tables: dict[str, Any], path: str, problems: list[str]
) -> None:
    for key, value in tables.items():
        inner = join_path(path, key)
        if key not in into:
            into[key] = value
        elif isinstance(value, dict) and isinstance(into[key], dict):
            _merge_tables(whole, part, into[key], value, inner, problems)
        elif inner != "$schema":
            here, there = part.places.get(inner, part.name), whole.places.get(inner, whole.name)
            problems.append(f"{here}: {inner}: is set in {there} already")


def _read_file(name: str, *, may_be_empty: bool) -> Source:
    ending = os.path.splitext(name)[1].lower()
    parse = FORMATS.get(ending)
    if parse is None:
        raise ConfigError(f"{name}: unknown file ending; expected one of {', '.join(FORMATS)}", source=name)
    try:
        text = _read_text(name)
        if not (may_be_empty or text.strip()):
            raise Malformed([(None, _EMPTY)])
        tables, lines = parse(text)
    except OSError as error:
        raise ConfigError(f"{name}: {error.strerror or error}", source=name) from error
    except RecursionError as error:
        raise ConfigError(f"{name}: nested too deeply", source=name) from error
    except NotInstalled as error:
        error.found_in(name)
        raise
    except Malformed as error:
        problems = [f"{name}{'' if line is None else f':{line}'}: {reason}" for line, reason in error.problems]
        raise ConfigError(summary(problems, name), problems=problems, source=name) from error
    except ValueError as error:  # of the parsers, a number with too many digits for one
        raise ConfigError(f"{name}: {error}", source=name) from error
    return Source(name, tables, places_of(lines, name))


def _read_text(name: str) -> str:
    content = read_content(name)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed([(content.count(b"\n", 0, error.start) + 1, str(error))]) from error
