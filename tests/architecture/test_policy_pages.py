"""
The pages about the policies say what the code says.
"""

from __future__ import annotations

import re
import runpy
import types
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT

TOOL = types.SimpleNamespace(**runpy.run_path(str(ROOT / "tools" / "policy_pages.py")))
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
def test_policy_with_states_has_a_table_and_a_diagram(name: str) -> None:
    """
    Every state and every signal of the table is in the drawing.
    """
    page = _page(name)
    diagram = re.findall(r"(?s)```mermaid\nstateDiagram-v2\n(.*?)```", page)

    assert len(diagram) == 1
    for (before, signal), after in MODULES[name].TRANSITIONS.items():
        drawn = f"{before} --> {after}: ".replace("half-open", "half_open")
        assert [line for line in diagram[0].splitlines() if drawn in line and signal in line]


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

    assert PAGES.keys() - {"index.md"} == linked
    assert "(policies/index.md)" in (ROOT / "docs" / "index.md").read_text(encoding="utf-8")


def _page(name: str) -> str:
    return PAGES[f"{name.replace('_', '-')}.md"]
