"""
What users are told to install: every name in it is a distribution that there is, and every extra is one of Remora's.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

from remora_cli._group import _ELSEWHERE
from tests.architecture.sources import ROOT

_FOLDERS = ("core", "contrib", "transports", "exporters", "docs", "examples")
_LINE = re.compile(r"pip install ([^`'\n&#()|]+)")
_EXTRAS = re.compile(r"remora\[([a-z,]+)\]")
_TOOLS = {"uv", "tox", "tox-uv", "pytest"}
"""What is named besides the distributions of the project and those that it is tested with."""

_PROJECTS = [tomllib.loads(path.read_text()) for path in ROOT.glob("**/pyproject.toml") if ".venv" not in path.parts]
EXTRAS = next(each["project"] for each in _PROJECTS if each.get("project", {}).get("name") == "remora")[
    "optional-dependencies"
]
NAMES = {each["project"]["name"] for each in _PROJECTS if "project" in each}


def texts() -> Iterator[tuple[Path, str]]:
    """
    The files from which users learn what to install.
    """
    found = [*ROOT.glob("*.md")]
    for folder in _FOLDERS:
        found += [path for kind in ("md", "py", "tmpl", "html") for path in (ROOT / folder).rglob(f"*.{kind}")]
    for path in found:
        yield path.relative_to(ROOT), path.read_text()


def installed(line: str) -> Iterator[str]:
    """
    What a line installs, without paths, options, and the names that a program puts in.
    """
    before = ""
    for word in line.replace('"', "").split():
        is_value = before.startswith("--") and before != "--editable"
        if not (is_value or word.startswith(("-", ".", "/", "$")) or "{" in word):
            yield Requirement(word).name
        before = word


def test_every_extra_that_is_named_exists() -> None:
    """
    Also in dependencies of what `remora new` creates.
    """
    named = {(extra, path) for path, text in texts() for found in _EXTRAS.findall(text) for extra in found.split(",")}

    assert {"http", "all", "yaml"} <= {extra for extra, _ in named}
    assert [] == [f"{path}: {extra}" for extra, path in sorted(named) if extra not in EXTRAS]


def test_every_distribution_that_is_named_exists() -> None:
    """
    It is the project's own, or pinned since the tests install it.
    """
    pinned = {line.partition("==")[0] for line in (ROOT / "constraints.txt").read_text().splitlines()}
    named = {(each, path) for path, text in texts() for line in _LINE.findall(text) for each in installed(line)}

    assert {"remora", "attrs"} <= {name for name, _ in named}
    assert [] == [f"{path}: {name}" for name, path in sorted(named) if name not in NAMES | pinned | _TOOLS]


def test_names_put_in_by_programs_exist() -> None:
    """
    Of extras that bring commands, event loops and transports.
    """
    assert {*_ELSEWHERE.values(), "trio", "http", "grpc", "unix", "exec"} <= EXTRAS.keys()
    assert [] == [extra for extra in _ELSEWHERE.values() if f"remora-{extra}" not in NAMES]
