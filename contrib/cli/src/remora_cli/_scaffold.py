"""
Small projects from templates: names are filled in, files are written, nothing that is there is touched.

What lives here: templates to files. What must not: options of the command line.
"""

from __future__ import annotations

import keyword
import re
import sys
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

from remora.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from importlib.resources.abc import Traversable
    from pathlib import Path

_SUFFIX = ".tmpl"
_TAKEN = {*sys.stdlib_module_names, "remora", "tests"}
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def names(name: str) -> dict[str, str]:
    """
    What a project's name is as a package, as a class and as a title.

    Raises:
        ConfigError: It cannot be the name of a distribution and of a package.
    """
    package = name.replace("-", "_")
    if not _NAME.fullmatch(name):
        raise ConfigError(f"the name {name!r} cannot be used: write lower-case words joined by hyphens, like my-notes")
    if keyword.iskeyword(package) or package in _TAKEN:
        raise ConfigError(f"the name {name!r} cannot be used: Python means something else by it; try my-{name}")
    words = [word.capitalize() for word in name.split("-")]
    return {"name": name, "package": package, "cls": "".join(words), "title": " ".join(words)}


def write(folder: Path, templates: Sequence[str], values: Mapping[str, str]) -> list[Path]:
    """
    A project in a new folder; of two templates with the same file the later one counts.

    Raises:
        ConfigError: The folder is there already.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} exists and is not empty: choose another name, or pass --into FOLDER")
    found: dict[str, str] = {}
    for template in templates:
        found |= dict(_texts(files("remora_cli") / "templates" / template, ""))
    written = []
    for path, text in sorted(found.items()):
        target = folder / path.replace("__package__", values["package"])
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(Template(text).substitute(values), encoding="utf-8")
        written.append(target)
    return written


def _texts(folder: Traversable, path: str) -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _texts(entry, f"{path}{entry.name}/")
        elif entry.name.endswith(_SUFFIX):
            yield f"{path}{entry.name.removesuffix(_SUFFIX)}", entry.read_text(encoding="utf-8")
