"""
Every hook has a page in the documentation, with its arguments and its example as they stand in the code.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import runpy
from collections.abc import Callable
from pathlib import Path

import pytest

from remora import hookspecs, specs, types
from tests.architecture.sources import ROOT

HOOKS = [getattr(hookspecs, name) for name in hookspecs.__all__ if name.startswith("remora_")]
PAGES = ROOT / "docs" / "hooks"


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.__name__)
def test_page_names_the_hook_with_its_arguments(hook: Callable[..., object]) -> None:
    """
    The heading is what an extension's author writes after `def`.
    """
    signature = f"{hook.__name__}({', '.join(inspect.signature(hook).parameters)})"

    assert _page(hook).startswith(f"# {signature}\n")


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.__name__)
def test_page_holds_the_example_of_the_docstring(hook: Callable[..., object]) -> None:
    """
    One example, in both places; only its blank lines may differ.
    """
    shown = re.findall(r"(?s)```python\n(.*?)```\n", _page(hook))

    assert [ast.dump(ast.parse(code)) for code in shown] == [ast.dump(ast.parse(_example(hook)))]


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.__name__)
def test_example_registers_an_implementation_of_the_hook(hook: Callable[..., object], tmp_path: Path) -> None:
    """
    The example is a whole module: it runs as it stands.
    """
    (tmp_path / "plugin.py").write_text(_example(hook))
    module = runpy.run_path(str(tmp_path / "plugin.py"))

    assert hasattr(module[hook.__name__], "remora_impl")


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.__name__)
@pytest.mark.parametrize("section", ["When it is called", "What to return", "Example", "Create one", "Errors"])
def test_page_has_the_sections_of_every_page(hook: Callable[..., object], section: str) -> None:
    """
    A reader finds the same thing in the same place.
    """
    assert f"\n## {section}\n" in _page(hook)


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.__name__)
def test_page_names_every_field_of_what_the_hook_returns(hook: Callable[..., object]) -> None:
    """
    A spec has nothing that its author has to find in the source.
    """
    returned = re.search(r"An iterable of `(\w+)\(", _page(hook))
    fields = [each.name for each in dataclasses.fields(getattr(specs, returned.group(1)))] if returned else []

    assert fields or hook is hookspecs.remora_event
    assert [name for name in fields if f"`{name}" not in _page(hook)] == []


def test_page_of_events_names_every_event_with_what_it_has() -> None:
    """
    What an observer may be told is in one table.
    """
    page = _page(hookspecs.remora_event)
    known = [getattr(types, name) for name in types.__all__]
    events = [
        each for each in known if inspect.isclass(each) and issubclass(each, types.Event) and each is not types.Event
    ]
    rows = {match[1]: match[0] for match in re.finditer(r"(?m)^\| `(\w+)` .*$", page)}
    everywhere = {"time", "plugin", "instance", "is_tried"}  # said above the table, of all of them

    assert {each.__name__ for each in events} == set(rows)
    for each in events:
        own = {field.name for field in dataclasses.fields(each)} - everywhere
        assert {name for name in own if f"`{name}`" not in rows[each.__name__]} == set(), each.__name__


def test_every_page_is_about_a_hook_and_in_the_index() -> None:
    """
    No page outlives its hook.
    """
    names = {hook.__name__ for hook in HOOKS}

    assert {page.stem for page in PAGES.glob("*.md")} == names
    assert set(re.findall(r"\(hooks/(\w+)\.md\)", (ROOT / "docs" / "index.md").read_text())) == names


def test_every_hook_is_exported() -> None:
    """
    A hook that is not in `__all__` would escape the other tests.
    """
    specs = {name for name, item in vars(hookspecs).items() if hasattr(item, "remora_spec")}

    assert {hook.__name__ for hook in HOOKS} == specs


def _page(hook: Callable[..., object]) -> str:
    return (PAGES / f"{hook.__name__}.md").read_text()


def _example(hook: Callable[..., object]) -> str:
    lines = (inspect.getdoc(hook) or "").splitlines()
    code = [
        line.strip().removeprefix(">>>").removeprefix("...") for line in lines if re.match(r"\s*(>>>|\.\.\.)", line)
    ]
    return "\n".join(line.removeprefix(" ") for line in code)
