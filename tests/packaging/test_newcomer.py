"""
Somebody new follows the README and each part of the tutorial, in an empty directory and an empty environment.

Nothing is there but what the page says to install, and every command is typed, also those that only install.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT
from tests.docs.pages import Block, Ports, blocks_of
from tests.docs.reader import Reader
from tests.packaging.conftest import Uv, pins_of

_INDENTED = re.compile(r"(?m)^    ((?:pip install|pytest|remora) .*)$")
_TUTORIAL = re.split(r"(?m)^(?=## Part )", (ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"))
PATHS = {
    "readme": "## A plugin\n" + (ROOT / "README.md").read_text(encoding="utf-8").partition("## A plugin\n")[2],
    **dict(zip(["host", "plugin", "extension"], [_TUTORIAL[0] + part for part in _TUTORIAL[1:]], strict=True)),
}

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize("name", PATHS)
def test_a_newcomer_gets_there_with_nothing_but_the_page(name: str, wheels: Path, uv: Uv, tmp_path: Path) -> None:
    """
    From the first line to the last, without a stop.
    """
    environment, directory, page = tmp_path / "venv", tmp_path / "empty", tmp_path / "page.md"
    page.write_text(Ports()(PATHS[name]), encoding="utf-8")
    directory.mkdir()
    uv("venv", "--no-project", str(environment), cwd=tmp_path)
    pip = ("pip", "install", "--python", str(environment / "bin" / "python"), *pins_of(wheels))
    with Reader(directory, backend="asyncio", programs=environment / "bin") as reader:
        for step in _steps(page):
            if step.text.startswith("pip install "):
                uv(*pip, *shlex.split(step.text)[2:], cwd=directory)
            elif step.language == "sh":
                reader.type(step)
            elif step.name:
                file = directory / step.name
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(step.text)


def _steps(page: Path) -> list[Block]:
    """
    The blocks of a page, and between them the commands that are indented.
    """
    text = page.read_text(encoding="utf-8")
    typed = [
        Block("sh", "", match.group(1), text.count("\n", 0, match.start()) + 1) for match in _INDENTED.finditer(text)
    ]
    return sorted([*blocks_of(page), *typed], key=lambda step: step.line)
