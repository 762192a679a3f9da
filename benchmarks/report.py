"""
The results as JSON, as a table, and as a plot.
"""

from __future__ import annotations

import json
import statistics
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

from benchmarks.machine import environment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from benchmarks.pairs import Pair
    from benchmarks.rounds import Round

_DISTRIBUTIONS = ("remora", "anyio", "trio", "uvloop", "httpx", "httpx2", "aiohttp", "grpcio", "msgspec")
_COLUMNS = (
    "pair", "backend", "callers", "bytes", "CPU ratio", "target", "wall ratio", "us CPU, ours", "us CPU, peer",
    "calls/s, ours", "calls/s, peer", "dropped",
)  # fmt: skip
_WIDTH, _ROW, _MARGIN, _MOST = 900, 20, 420, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """
    The median, minimum and maximum over some rounds.
    """

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, rounds: Sequence[Round], figure: Callable[[Round], float]) -> Figures:
        """
        The figures of what `figure` returns for each round.
        """
        numbers = [figure(each) for each in rounds]
        return cls(median=statistics.median(numbers), least=min(numbers), most=max(numbers))

    def show(self, digits: int) -> str:
        """
        The figures as text.
        """
        return f"{self.median:.{digits}f} ({self.least:.{digits}f} to {self.most:.{digits}f})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """
    One row of the report. The figures are None when no round counts.

    Attributes:
        name: The name of the pair.
        family: Its family.
        backend: The event loop on which Remora ran.
        callers: The number of concurrent callers.
        size: The payload in bytes.
        target: The target ratio of CPU; None when there is none.
        rounds: The number of rounds.
        dropped: The number of those that do not count.
        ratio: Remora's CPU per call, divided by the peer's.
        wall_ratio: The same for elapsed time.
        cost: Microseconds of CPU per call of Remora.
        peer_cost: Those of the peer.
        rate: Calls per second of Remora, all callers together.
        peer_rate: Those of the peer.
    """

    name: str
    family: str
    backend: str
    callers: int
    size: int
    target: float | None
    rounds: int
    dropped: int
    ratio: Figures | None
    wall_ratio: Figures | None
    cost: Figures | None
    peer_cost: Figures | None
    rate: Figures | None
    peer_rate: Figures | None

    @classmethod
    def of(cls, pair: Pair, backend: str, callers: int, size: int, rounds: Sequence[Round]) -> Result:
        """
        The result of a pair in one cell.
        """
        steady = [each for each in rounds if each.is_steady]

        def figures(figure: Callable[[Round], float]) -> Figures | None:
            return Figures.of(steady, figure) if steady else None

        return cls(
            name=pair.name,
            family=pair.family,
            backend=backend,
            callers=callers,
            size=size,
            target=pair.target(backend, callers),
            rounds=len(rounds),
            dropped=len(rounds) - len(steady),
            ratio=figures(lambda each: each.ratio),
            wall_ratio=figures(lambda each: each.wall_ratio),
            cost=figures(lambda each: each.ours.cost),
            peer_cost=figures(lambda each: each.peer_cost),
            rate=figures(lambda each: 1e6 / each.ours.pace),
            peer_rate=figures(lambda each: 1e6 / each.peer_pace),
        )


def write(results: Sequence[Result], folder: Path, *, loads: tuple[str, str], placement: str) -> str:
    """
    Write `results.json`, `results.md` and `results.svg` to a folder, and return the table.
    """
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "environment": environment(*_DISTRIBUTIONS),
        "servers": placement,
        "load before": loads[0],
        "load after": loads[1],
    }
    document = {"about": about, "results": [asdict(each) for each in results]}
    (folder / "results.json").write_text(json.dumps(document, indent=1) + "\n")
    text = "\n".join([*(f"{name}: {value}" for name, value in about.items()), "", table(results)])
    (folder / "results.md").write_text(text + "\n")
    (folder / "results.svg").write_text(plot(results))
    return text


def table(results: Sequence[Result]) -> str:
    """
    The results as a table in Markdown.
    """
    head = f"| {' | '.join(_COLUMNS)} |"
    return "\n".join([head, "|---" * len(_COLUMNS) + "|", *map(_line, results)])


def _line(each: Result) -> str:
    shown = [
        "-" if figures is None else figures.show(digits)
        for figures, digits in (
            (each.ratio, 2), (each.wall_ratio, 2), (each.cost, 1), (each.peer_cost, 1), (each.rate, 0),
            (each.peer_rate, 0),
        )
    ]  # fmt: skip
    target = "" if each.target is None else f"{each.target:g}"
    cells = [
        each.name,
        each.backend,
        each.callers,
        each.size,
        shown[0],
        target,
        *shown[1:],
        f"{each.dropped} of {each.rounds}",
    ]
    return "| " + " | ".join(map(str, cells)) + " |"


def plot(results: Sequence[Result]) -> str:
    """
    The ratios as bars in SVG; a line marks where Remora costs as much as the peer.
    """
    shown = [(each, each.ratio) for each in results if each.ratio is not None]
    height = _ROW * (len(shown) + 2)
    one = _x(1.0)
    bars = "".join(_bar(each, ratio.median, number) for number, (each, ratio) in enumerate(shown, start=1))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" font-family="sans-serif"'
        f' font-size="11"><text x="4" y="14">CPU per call, as a part of the peer\'s</text>{bars}'
        f'<line x1="{one}" x2="{one}" y1="{_ROW}" y2="{height - _ROW}" stroke="black"/></svg>\n'
    )


def _bar(each: Result, ratio: float, number: int) -> str:
    y = number * _ROW
    color = "#4a7" if each.target is None or ratio <= each.target else "#c75"
    end = round(_x(min(ratio, _MOST)))
    label = escape(f"{each.name}, {each.backend}, {each.callers} callers, {each.size} B")
    return (
        f'<text x="4" y="{y + 14}">{label}</text>'
        f'<rect x="{_MARGIN}" y="{y + 3}" width="{end - _MARGIN}" height="{_ROW - 6}" fill="{color}"/>'
        f'<text x="{end + 4}" y="{y + 14}">{ratio:.2f}</text>'
    )


def _x(ratio: float) -> float:
    return _MARGIN + ratio * (_WIDTH - _MARGIN - 50) / _MOST
