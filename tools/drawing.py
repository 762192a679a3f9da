"""
Drawings for the documentation, as SVG: lines and text in the text colour of the page around them, light or dark.
"""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from enum import StrEnum

    Table = Mapping[tuple[StrEnum, StrEnum], StrEnum]

_STYLE = """\
<style>
.drawing { color: #1f2328; background: #ffffff; }
@media (prefers-color-scheme: dark) { .drawing { color: #e6edf3; background: #0d1117; } }
</style>"""
_LANE, _BOX, _HEAD, _SIGNAL, _ARROW, _GAP = 90, 84, 30, 18, 14, 10


def drawing(title: str, width: int, height: int, parts: Iterable[str]) -> str:
    """
    An SVG image, for a file; a page may also embed it without its style.
    """
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="drawing" role="img" aria-label="{escape(title)}" '
        f'width="{width}" height="{height}" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="13">'
    )
    return "\n".join([head, _STYLE, *parts, "</svg>", ""])


def text(x: float, y: float, words: str, *, anchor: str = "middle", more: str = "") -> str:
    """
    A line of text, with its middle (or `start`, or `end`) at x and its baseline at y.
    """
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="currentColor"{more}>{escape(words)}</text>'


def box(x: float, y: float, width: float, height: float, *, is_filled: bool = False) -> str:
    """
    A rectangle with rounded corners.
    """
    style = f'fill="currentColor" fill-opacity="{0.18 if is_filled else 0.04}" stroke="currentColor"'
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="5" {style}/>'


def lanes(title: str, table: Table) -> str:
    """
    A transition table: states are vertical lines, and each transition is an arrow under the name of its signal.
    """
    states = _states(table)
    bands = _bands(table)
    height = _HEAD + sum(_SIGNAL + _ARROW * len(moves) + _GAP for _, moves in bands) + _GAP
    return drawing(f"{title}: states", _LANE * len(states), height, _lanes(states, bands))


def _states(table: Table) -> list[str]:
    """
    All states, in the order of their first transitions; final states come last.
    """
    return list(dict.fromkeys([*(str(state) for state, _ in table), *map(str, table.values())]))


def _bands(table: Table) -> list[tuple[str, list[tuple[str, str]]]]:
    """
    The signals, each with its transitions.
    """
    found: dict[str, list[tuple[str, str]]] = {}
    for (before, signal), after in table.items():
        found.setdefault(str(signal), []).append((str(before), str(after)))
    return list(found.items())


def _lanes(states: Sequence[str], bands: Sequence[tuple[str, list[tuple[str, str]]]]) -> Iterator[str]:
    at = {state: _LANE * (number + 0.5) for number, state in enumerate(states)}
    for state, x in at.items():
        yield box(x - _BOX / 2, 1, _BOX, _HEAD - 4)
        yield text(x, 18, state, more=' font-weight="bold"')
    y = float(_HEAD + _GAP)
    for signal, moves in bands:
        yield text(_LANE * len(states) / 2, y + 10, signal)
        y += _SIGNAL
        yield from _lines(at.values(), y - 2, y + _ARROW * len(moves))
        for before, after in moves:
            yield from _arrow(at[before], at[after], y)
            y += _ARROW
        y += _GAP


def _lines(at: Iterable[float], top: float, bottom: float) -> Iterator[str]:
    """
    The lines of the states, with gaps for the names of signals.
    """
    for x in at:
        yield f'<path d="M{x:g} {top:g}V{bottom:g}" stroke="currentColor" stroke-opacity="0.35"/>'


def _arrow(start: float, end: float, y: float) -> Iterator[str]:
    way = 1 if end > start else -1
    tip = end - way
    yield f'<circle cx="{start:g}" cy="{y + 5:g}" r="3" fill="currentColor"/>'
    yield f'<path d="M{start:g} {y + 5:g}H{tip - way * 7:g}" stroke="currentColor" stroke-width="1.5"/>'
    yield f'<path d="M{tip:g} {y + 5:g}l{-8 * way} -4v8z" fill="currentColor"/>'
