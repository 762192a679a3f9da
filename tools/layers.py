"""
Draw the layers of the core from the table in tests/architecture/test_layers.py, for the page Architecture.

    python tools/layers.py > layers.svg
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from drawing import box, drawing, text
from tests.architecture.test_layers import LAYERS

if TYPE_CHECKING:
    from collections.abc import Iterator

_COLUMNS, _WIDTH, _HEIGHT, _GAP = 5, 108, 26, 6


def rows() -> list[list[str]]:
    """
    The parts of the core from top to bottom: each imports only from the rows below it.
    """
    found: dict[int, list[str]] = {}
    for name in LAYERS:
        found.setdefault(_depth(name), []).append(name)
    return [found[depth] for depth in sorted(found, reverse=True)]


def _depth(name: str) -> int:
    """
    The length of the longest chain of imports that begins at a part.
    """
    return max((1 + _depth(below) for below in LAYERS[name].project.split()), default=0)


def layers() -> str:
    """
    The drawing as SVG. Parts that may import anyio, and so may do I/O, are filled.
    """
    lines = [line for row in rows() for line in _broken(row)]
    height = sum(_HEIGHT + (_GAP * 3 if is_last else _GAP) for _, is_last in lines)
    return drawing("The layers of the core", _COLUMNS * _WIDTH, height, _parts(lines))


def _broken(row: list[str]) -> Iterator[tuple[list[str], bool]]:
    """
    A row, split into lines that fit, each with whether it is the last.
    """
    for start in range(0, len(row), _COLUMNS):
        yield row[start : start + _COLUMNS], start + _COLUMNS >= len(row)


def _parts(lines: list[tuple[list[str], bool]]) -> Iterator[str]:
    y = 1.0
    for names, is_last in lines:
        for column, name in enumerate(names):
            x = (_COLUMNS - len(names)) * _WIDTH / 2 + column * _WIDTH + 3
            yield box(x, y, _WIDTH - 6, _HEIGHT, is_filled="anyio" in LAYERS[name].foreign)
            yield text(x + _WIDTH / 2 - 3, y + 17, name)
        y += _HEIGHT + _GAP
        if is_last:
            y += _GAP * 2
            yield from _rule(y - _GAP * 1.5)


def _rule(y: float) -> Iterator[str]:
    yield f'<path d="M0 {y:g}H{_COLUMNS * _WIDTH}" stroke="currentColor" stroke-opacity="0.3" stroke-dasharray="3 3"/>'


if __name__ == "__main__":
    print(layers())
