"""
Write docs/faults.md: every fault in tests/faults/rows.toml, and the tests that show what happens.

    python tools/fault_table.py            write the page
    python tools/fault_table.py --check    fail if it is not up to date
"""

from __future__ import annotations

import argparse
import ast
import sys
import tomllib
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
MARK = "pytest.mark.fault"
ROWS = ROOT / "tests" / "faults" / "rows.toml"
PAGE = ROOT / "docs" / "faults.md"
HEAD = """\
# Faults

<!-- Written by `python tools/fault_table.py`; change tests/faults/rows.toml or the tests instead. -->

What goes wrong around plugins, what Remora does about it, and the tests that show it on real sockets and processes.
Every such test has the number of its fault in its id: `pytest -k fault_30` runs those of fault 30.
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """
    A row of the table.
    """

    number: int
    area: str
    fault: str
    expected: str
    reason: str = ""


def faults() -> list[Fault]:
    """
    All rows, in the order of their numbers.
    """
    rows = tomllib.loads(ROWS.read_text())["fault"]
    return sorted((Fault(**row) for row in rows), key=lambda row: row.number)


@cache
def marked_tests() -> dict[int, list[str]]:
    """
    The tests by the numbers of the faults that they are marked with, each as file::name.
    """
    found = defaultdict[int, list[str]](list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        text = path.read_text()
        for number, name in _marks(ast.parse(text)) if MARK in text else ():
            found[number].append(f"{path.relative_to(ROOT)}::{name}")
    return found


def _marks(module: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from ((number, node.name) for number in _numbers(node))


def _numbers(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[int]:
    for decorator in function.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == MARK:
            yield from (ast.literal_eval(number) for number in decorator.args)


def page() -> str:
    """
    The text of the page.
    """
    tests = marked_tests()
    parts = [HEAD]
    for area, rows in groupby(faults(), key=lambda row: row.area):
        parts.append(f"\n## {area}\n\n| # | fault | what happens | shown by |\n| --- | --- | --- | --- |\n")
        parts += [_line(row, tests[row.number]) for row in rows]
    return "".join(parts)


def _line(row: Fault, tests: list[str]) -> str:
    shown = [*map(_link, tests), *([row.reason] if row.reason else [])]
    return f"| {row.number} | {row.fault} | {row.expected} | {'<br>'.join(shown)} |\n"


def _link(test: str) -> str:
    path, _, name = test.partition("::")
    return f"[{name.removeprefix('test_').replace('_', ' ')}](../{path})"


def main() -> None:
    """
    Write the page, or check it.
    """
    parser = argparse.ArgumentParser(description="write docs/faults.md")
    parser.add_argument("--check", action="store_true", help="write nothing; end with 1 when the page is out of date")
    if not parser.parse_args().check:
        PAGE.write_text(page())
    elif PAGE.read_text() != page():
        sys.exit("docs/faults.md is out of date: run python tools/fault_table.py")


if __name__ == "__main__":
    main()
