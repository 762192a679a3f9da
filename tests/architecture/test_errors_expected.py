"""
Every error that a caller may meet is met by a test.

A test expects an error when its name stands in `raises(...)`, `isinstance(...)`, an `except` or a comparison there; to
make one, or to import it, is not enough.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator

import pytest

from remora import errors
from tests.architecture.sources import ROOT

FAMILIES = {"RemoraError", "TryLater", "GiveUp"}
LEAVES = sorted(
    name
    for name, found in vars(errors).items()
    if inspect.isclass(found) and issubclass(found, errors.RemoraError) and name not in FAMILIES
)


@pytest.fixture(scope="module")
def expected() -> set[str]:
    """
    All names that tests expect.
    """
    modules = (ast.parse(path.read_text(encoding="utf-8")) for path in (ROOT / "tests").rglob("test_*.py"))
    return {name for module in modules for part in _expectations(module) for name in _names(part)}


@pytest.mark.parametrize("error", LEAVES)
def test_an_error_is_expected_by_a_test(error: str, expected: set[str]) -> None:
    """
    What the documentation lists does happen.
    """
    assert error in expected


def test_an_error_that_is_only_made_is_not_expected() -> None:
    """
    Or else this page would prove nothing.
    """
    module = ast.parse(
        "from x import A\nassert f(A('x')) == B\nwith raises((C, D)): raise E from F\ng(H, isinstance(i, J))"
    )

    assert {"B", "C", "D", "i", "J"} == {name for part in _expectations(module) for name in _names(part)} - {"f"}


def _expectations(module: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(module):
        if isinstance(node, ast.Compare):
            yield from (node.left, *node.comparators)
        elif isinstance(node, ast.ExceptHandler) and node.type is not None:
            yield node.type
        elif isinstance(node, ast.Call) and _called(node).endswith(("raises", "isinstance", "RaisesGroup")):
            yield from node.args


def _called(call: ast.Call) -> str:
    return ast.unparse(call.func)


def _names(part: ast.AST) -> Iterator[str]:
    """
    The names in an expression, without what is called in it: `A("x")` makes an A.
    """
    for child in ast.iter_child_nodes(part) if not isinstance(part, ast.Name) else ():
        if not (isinstance(part, ast.Call) and child is part.func):
            yield from _names(child)
    if isinstance(part, ast.Name | ast.Attribute):
        yield part.id if isinstance(part, ast.Name) else part.attr
