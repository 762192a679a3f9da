"""
What stands in the documentation works: files are written, programs run, configurations load, commands print.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import pytest

from remora import Manager
from remora.config import load_config
from tests.docs.pages import ROOT, Block, Ports, blocks_of
from tests.docs.reader import Reader

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
HOOKS = ROOT / "docs" / "hooks"  # held to their docstrings by a test of their own
TESTED = [page for page in PAGES if page.parent != HOOKS and blocks_of(page)]

_REFERENCE = re.compile(r"\$\{(\w+)\}")
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_CHECK = """
from remora import Manager
from remora.config import load_config
Manager(load_config({path!r}, {variables}))
"""
_PARTS = re.compile(r"(?m)^(?=## Part )")


@pytest.mark.parametrize("page", TESTED, ids=lambda page: page.stem)
def test_page_does_what_it_says(page: Path, anyio_backend: str, tmp_path: Path) -> None:
    """
    From top to bottom, in one directory; each part of a page that has parts begins in an empty one.
    """
    ports = Ports()
    for number, part in enumerate(_PARTS.split(page.read_text(encoding="utf-8"))):
        directory = tmp_path / str(number)
        directory.mkdir()
        (tmp_path / "page.md").write_text(part)
        blocks = blocks_of(tmp_path / "page.md", ports)
        typed = "".join(block.text for block in blocks if block.language == "sh")
        with Reader(directory, backend=anyio_backend) as reader:
            for block in blocks:
                _follow(block, reader, typed)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    """
    A file that a page leads to is there.
    """
    targets = [target for target in _LINK.findall(page.read_text()) if not target.startswith("http")]

    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_index_names_every_page() -> None:
    """
    One line each; a folder with an index of its own has one line for that.
    """
    docs = ROOT / "docs"
    indexed = {page.parent for page in PAGES if page.name == "index.md"} - {docs}
    pages = {page for page in PAGES[1:] if page.parent not in indexed or page.name == "index.md"}

    assert pages - {docs / "index.md"} <= {docs / target for target in _LINK.findall((docs / "index.md").read_text())}


def _follow(block: Block, reader: Reader, typed: str) -> None:
    if block.name:
        file = reader.directory / block.name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(block.text)
    match block.language:
        case "python" if block.words == "fragment":
            compile(block.text, "fragment", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        case "python" if block.name and f"python {block.name}" in typed:
            pass  # a reader runs it
        case "python":
            _run(block, reader)
        case "toml" if block.words not in ("wrong", "allow-list"):  # a list is read by a test of its own
            _load(block, reader)
        case "yaml":
            Manager(load_config(reader.directory / block.name, _variables(block.text)))
        case "sh":
            reader.type(block)


def _run(block: Block, reader: Reader) -> None:
    """
    A file is imported, as a module or as the tests that it holds; anything else is a program.
    """
    name = block.name
    if name.startswith("test_"):
        reader.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", name)
    elif name:
        reader.run("-W", "error", "-c", f"import runpy; runpy.run_path({name!r}, run_name='imported')")
    else:
        reader.run("-W", "error", "-c", block.text)


def _load(block: Block, reader: Reader) -> None:
    """
    A configuration is checked against what is installed; a project is installed, as `pip install -e .` would.
    """
    tables = tomllib.loads(block.text)
    if "project" in tables:
        _install(tables["project"], reader.directory)
    elif tables.keys() & {"plugins", "defaults", "log_level"}:
        path = reader.directory / (block.name or "unnamed.toml")
        path.write_text(block.text)
        _check(path, _variables(block.text), reader)


def _check(path: Path, variables: dict[str, str], reader: Reader) -> None:
    if list(reader.directory.glob("*.dist-info")):  # what the page has installed is not seen from here
        reader.run("-W", "error", "-c", _CHECK.format(path=str(path), variables=variables))
    else:
        Manager(load_config(path, variables))


def _variables(text: str) -> dict[str, str]:
    return dict.fromkeys(_REFERENCE.findall(text), "http://127.0.0.1:1")


def _install(project: Mapping[str, object], directory: Path) -> None:
    points = project.get("entry-points")
    if not isinstance(points, dict) or "version" not in project:
        return
    name, version = str(project["name"]), str(project["version"])
    info = directory / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = "".join(f"{key} = {value}\n" for key, value in points["remora"].items())
    (info / "entry_points.txt").write_text(f"[remora]\n{lines}")
