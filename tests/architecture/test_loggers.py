"""
All of Remora logs below the logger `remora`, whose level is `log_level`.
"""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterator
from functools import cache

import anyio
import pytest

from remora import Manager
from tests.architecture.sources import Distribution, Module, distributions

OURS = [item for item in distributions() if item.name != "acme-remora-tcp"]
OTHERS = {"", "watchfiles"}
"""The root, which a program sets up, and what a library logs that nobody wants to read."""


@pytest.mark.parametrize("distribution", OURS, ids=lambda item: item.name)
def test_every_logger_is_below_remora(distribution: Distribution) -> None:
    """
    In all distributions but those of strangers.
    """
    found = {name for module in distribution.modules for name in _loggers(module)} - OTHERS

    assert set() == {name for name in found if name.split(".")[0] != "remora"}


def test_loggers_are_found_by_their_modules() -> None:
    """
    The test above sees what is there.
    """
    found = {name for item in OURS for module in item.modules for name in _loggers(module)}

    assert {
        "remora._calls._pipeline",
        "remora.exec._security._guard",
        "remora.http._server._connection",
        "remora.auth._tokens",
    } <= found


@pytest.mark.parametrize("level", ["debug", "error"])
def test_the_level_reaches_every_logger(level: str) -> None:
    """
    Whichever distribution it is of.
    """
    top = logging.getLogger("remora")
    before = top.level
    names = {name for item in OURS for module in item.modules for name in _loggers(module)} - OTHERS
    own = {name for name in names if not logging.getLogger(name).level}

    async def main() -> None:
        async with Manager({"log_level": level}):
            pass

    anyio.run(main)
    seen = {logging.getLevelName(logging.getLogger(name).getEffectiveLevel()) for name in own}
    top.setLevel(before)

    assert {level.upper()} == seen


@cache
def _loggers(module: Module) -> list[str]:
    tree = ast.parse(module.path.read_text())
    known = {"__name__": module.name, **_constants(tree)}
    return [_name(call, known) for call in _calls(tree, "getLogger")]


def _constants(tree: ast.Module) -> dict[str, str]:
    """
    The texts that a module gives a name.
    """
    return {
        ast.unparse(node.targets[0]): node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    }


def _calls(tree: ast.AST, function: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        called = node.func if isinstance(node, ast.Call) else None
        if function == getattr(called, "attr", getattr(called, "id", None)):
            assert isinstance(node, ast.Call)
            yield node


def _name(call: ast.Call, known: dict[str, str]) -> str:
    """
    What a logger is named; of a name that is made at run time what is known of it.
    """
    if not call.args:
        return ""
    expression = call.args[0]
    if isinstance(expression, ast.JoinedStr):
        return ast.literal_eval(expression.values[0])  # type: ignore[no-any-return]
    return eval(ast.unparse(expression), dict(known))  # type: ignore[no-any-return]
