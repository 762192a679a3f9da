"""
The pages about the policies say what the code says.
"""

from __future__ import annotations

import importlib
import re
import sys
import types
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.architecture.sources import ROOT

sys.path.insert(0, str(ROOT / "tools"))
TOOL = importlib.import_module("policy_pages")
PAGES: dict[str, str] = TOOL.pages()
MODULES: dict[str, types.ModuleType] = TOOL.modules()
FOLDER: Path = TOOL.FOLDER


@pytest.mark.parametrize("name", PAGES)
def test_page_is_up_to_date(name: str) -> None:
    """
    `python tools/policy_pages.py` writes it again.
    """
    assert PAGES[name] == (FOLDER / name).read_text(encoding="utf-8")


def test_no_page_outlives_its_policy() -> None:
    """
    The folder holds nothing else.
    """
    assert PAGES.keys() == {page.name for page in FOLDER.iterdir()}


@pytest.mark.parametrize(
    "name", [name for name, module in MODULES.items() if "State(" in Path(module.__file__ or "").read_text()]
)
def test_policy_with_states_has_a_table_and_a_drawing(name: str) -> None:
    """
    Every state and every signal of the table is in the drawing, and every transition an arrow.
    """
    drawing = ElementTree.fromstring(PAGES[f"{_file(name)}.svg"])
    names = [each.text for each in drawing.iter("{http://www.w3.org/2000/svg}text")]
    arrows = list(drawing.iter("{http://www.w3.org/2000/svg}circle"))

    assert f"({_file(name)}.svg)" in _page(name)
    for (before, signal), after in MODULES[name].TRANSITIONS.items():
        assert {str(before), str(signal), str(after)} <= set(names)
    assert len(arrows) == len(MODULES[name].TRANSITIONS)


@pytest.mark.parametrize("name", MODULES)
def test_page_says_which_policy_it_is_from_what_stands_in_the_module(name: str) -> None:
    """
    A heading and the whole docstring.
    """
    assert _page(name).startswith(f"# {TOOL.TITLES[name]}\n\n{(MODULES[name].__doc__ or '').strip()}\n")


def test_every_page_is_in_the_index() -> None:
    """
    And the index in the documentation's own.
    """
    linked = set(re.findall(r"\]\(([\w-]+\.md)\)", PAGES["index.md"]))

    assert {page for page in PAGES if page.endswith(".md")} - {"index.md"} == linked
    assert "(policies/index.md)" in (ROOT / "docs" / "index.md").read_text(encoding="utf-8")


def _page(name: str) -> str:
    return PAGES[f"{_file(name)}.md"]


def _file(name: str) -> str:
    return name.replace("_", "-")
