"""
The figures of a report, from rounds that are made up.
"""

from __future__ import annotations

import json
from statistics import median
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.pairs import PAIRS
from benchmarks.report import Figures, Result, table, write
from benchmarks.rounds import Round, Slice

if TYPE_CHECKING:
    from pathlib import Path

NUMBERS = st.integers(1, 20)
SLICES = st.builds(Slice, NUMBERS, NUMBERS, NUMBERS)
PAIR = next(pair for pair in PAIRS if pair.name == "unix: framework / pool of asyncio streams")
CALM = Slice(1, 4e-6, 8e-6)


def round_of(cost: float, pace: float, *, peer: Slice = CALM, after: Slice = CALM) -> Round:
    """
    A round of so many microseconds per call, of CPU and of elapsed time.
    """
    return Round(peer, Slice(10, cost * 1e-5, pace * 1e-5), after)


@given(st.lists(st.builds(Round, SLICES, SLICES, SLICES), min_size=1))
def test_figures_are_median_least_and_most_of_the_steady_rounds(rounds: list[Round]) -> None:
    """
    All others are dropped and counted; without any there are none.
    """
    found = Result.of(PAIR, "asyncio", 32, 100, rounds)
    steady = [each for each in rounds if each.is_steady]

    assert (len(rounds), len(rounds) - len(steady)) == (found.rounds, found.dropped)
    for figures, numbers in (
        (found.ratio, [each.ratio for each in steady]),
        (found.wall_ratio, [each.wall_ratio for each in steady]),
        (found.cost, [each.ours.cost for each in steady]),
        (found.peer_cost, [each.peer_cost for each in steady]),
        (found.rate, [1e6 / each.ours.pace for each in steady]),
        (found.peer_rate, [1e6 / each.peer_pace for each in steady]),
    ):
        assert figures == (Figures(median=median(numbers), least=min(numbers), most=max(numbers)) if numbers else None)


def test_a_line_shows_every_figure_under_its_head() -> None:
    """
    With the target of its place; what is dropped has no part in the others.
    """
    rounds = [round_of(2, 2), round_of(3, 4), round_of(8, 16), round_of(900, 900, after=Slice(1, 5e-6, 8e-6))]
    head, _, line = table([Result.of(PAIR, "trio", 32, 100, rounds)]).splitlines()

    assert {
        "pair": PAIR.name,
        "backend": "trio",
        "callers": "32",
        "bytes": "100",
        "CPU ratio": "0.75 (0.50 to 2.00)",
        "target": "1.5",
        "wall ratio": "0.50 (0.25 to 2.00)",
        "us CPU, ours": "3.0 (2.0 to 8.0)",
        "us CPU, peer": "4.0 (4.0 to 4.0)",
        "calls/s, ours": "250000 (62500 to 500000)",
        "calls/s, peer": "125000 (125000 to 125000)",
        "dropped": "1 of 4",
    } == dict(zip(*(text.strip("| ").split(" | ") for text in (head, line)), strict=True))


def test_a_row_whose_rounds_are_all_dropped_says_so(tmp_path: Path) -> None:
    """
    It has no figures, and no bar.
    """
    restless = [round_of(1, 1, peer=Slice(1, 5e-6, 8e-6)), round_of(1, 1, after=Slice(1, 9e-6, 8e-6))]
    results = [Result.of(PAIR, backend, 1, 100, rounds) for backend, rounds in [("asyncio", restless), ("trio", [])]]
    text = write(results, tmp_path, loads=("1", "2"), placement="here")
    document = json.loads((tmp_path / "results.json").read_text())

    assert text.endswith(
        f"| {PAIR.name} | asyncio | 1 | 100 | - | 1.6 | - | - | - | - | - | 2 of 2 |\n"
        f"| {PAIR.name} | trio | 1 | 100 | - | 1.6 | - | - | - | - | - | 0 of 0 |"
    )
    assert [None, None] == [each["ratio"] for each in document["results"]]
    assert "rect" not in (tmp_path / "results.svg").read_text()


@pytest.mark.parametrize(("ratio", "color"), [(1.6, "#4a7"), (1.61, "#c75")])
def test_a_bar_shows_whether_the_target_is_met(tmp_path: Path, ratio: float, color: str) -> None:
    """
    A ratio that is the target meets it.
    """
    exact = Slice(1, 1.0, 1.0)
    write(
        [Result.of(PAIR, "asyncio", 1, 100, [Round(exact, Slice(1, ratio, 1), exact)])],
        tmp_path,
        loads=("1", "2"),
        placement="here",
    )
    plot = (tmp_path / "results.svg").read_text()

    assert f'fill="{color}"/>' in plot
    assert f">{ratio:.2f}</text>" in plot
