"""
Whatever is public has its place in the reference.
"""

from __future__ import annotations

import importlib
import re

import pytest

from tests.architecture.sources import distributions
from tests.docs.pages import ROOT

API = ROOT / "docs" / "api"
NAMES = [module.name for distribution in distributions() for module in distribution.modules]
PUBLIC = [name for name in NAMES if not re.search(r"(^|\.)_|\.plugin$", name)]  # entry points lead to `plugin`
PROGRAMS = {"remora_cli", "remora_cli.demo.text"}
MODULES = [name for name in PUBLIC if name not in PROGRAMS and getattr(importlib.import_module(name), "__all__", [])]


@pytest.mark.parametrize("name", MODULES)
def test_public_module_is_in_the_reference(name: str) -> None:
    """
    A module with `__all__` has a page, and the list of them a row for it.
    """
    page = API / f"{name}.rst"
    lines = "=" * len(name)

    assert page.exists(), f"write docs/api/{name}.rst:\n{name}\n{lines}\n\n.. automodule:: {name}"
    assert f".. automodule:: {name}\n" in page.read_text()
    assert f"({name}.rst)" in (API / "index.md").read_text()


def test_no_page_outlives_its_module() -> None:
    """
    Every page is about a public module.
    """
    assert {page.stem for page in API.glob("*.rst")} <= set(MODULES)
