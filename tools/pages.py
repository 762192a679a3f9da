"""
Shared by the generators of documentation pages: parsing docstrings, tables, and pages with generated sections.

A section stands between `<!-- NAME: written by tools/... -->` and `<!-- end -->`; the rest is written by hand.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

ROOT = Path(__file__).resolve().parent.parent

_SECTION = re.compile(r"(?s)(<!-- ([\w-]+): [^\n]*-->\n).*?(\n<!-- end -->)")
_ATTRIBUTE = re.compile(r"    (\w+): (.*)")


def summary(thing: object) -> str:
    """
    The first paragraph of a docstring, as one line.
    """
    return _one_line((inspect.getdoc(thing) or "").partition("\n\n")[0])


def paragraph(thing: object, opening: str) -> str:
    """
    The paragraph of a docstring that begins with `opening`, without it; empty when there is none.
    """
    found = [part for part in (inspect.getdoc(thing) or "").split("\n\n") if part.startswith(opening)]
    return _one_line(found[0].removeprefix(opening)) if found else ""


def attributes(record: type) -> dict[str, str]:
    """
    The descriptions in the section `Attributes:` of a docstring, by attribute.
    """
    _, _, section = (inspect.getdoc(record) or "").partition("Attributes:\n")
    found: dict[str, str] = {}
    name = ""
    for line in section.partition("\n\n")[0].splitlines():
        match = _ATTRIBUTE.fullmatch(line)
        if match:
            name, found[match.group(1)] = match.group(1), match.group(2)
        else:
            found[name] += " " + line.strip()
    return found


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """
    A table in Markdown.
    """
    lines = [head, ["---"] * len(head), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"|{'|'.join(f' {cell} ' if cell != '---' else cell for cell in line)}|" for line in lines)


def filled(page: str, sections: Mapping[str, str]) -> str:
    """
    A page with its generated sections replaced.

    Raises:
        KeyError: The page has a section that is not given, or lacks one that is.
    """
    missing = sections.keys() - {match.group(2) for match in _SECTION.finditer(page)}
    if missing:
        raise KeyError(f"the page has no section {min(missing)}")
    return _SECTION.sub(lambda match: f"{match.group(1)}\n{sections[match.group(2)]}\n{match.group(3)}", page)


def main(page: str, sections: Mapping[str, str]) -> None:
    """
    Write the sections of a page; with `--check`, exit with 1 if it is not up to date.
    """
    parser = argparse.ArgumentParser(description=f"write the generated sections of {page}")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when the page is not up to date")
    only_check = parser.parse_args().check
    file = ROOT / page
    before = file.read_text(encoding="utf-8")
    after = filled(before, sections)
    if not only_check:
        file.write_text(after, encoding="utf-8")
    elif before != after:
        sys.exit(f"{page} is not up to date: run python tools/{Path(sys.argv[0]).name}")


def _one_line(text: str) -> str:
    return " ".join(text.split())
