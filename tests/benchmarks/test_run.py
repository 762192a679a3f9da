"""
The benchmarks run; how fast anything is, nobody judges here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import run
from benchmarks.pairs import PAIRS, Pair
from benchmarks.placement import placements
from tests.architecture.sources import ROOT
from tests.benchmarks import scripted


@pytest.mark.long
def test_a_quick_run_writes_figures_table_and_plot(tmp_path: Path) -> None:
    """
    With slices of some milliseconds, with and without a server.
    """
    families = ["codec", "grpc"]
    options = [*(word for family in families for word in ("--only", family)), "--backend", "asyncio", "--quick"]
    sizes = ["--callers", "1", "--cpus", "together", "--rounds", "1", "--seconds", "0.005", "--output", str(tmp_path)]
    command = [sys.executable, "-m", "benchmarks", "run", *options, *sizes]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=90)

    assert 0 == done.returncode, done.stderr
    document = json.loads((tmp_path / "results.json").read_text())
    assert "CPython" in document["about"]["environment"] or "PyPy" in document["about"]["environment"]
    assert "on the same CPU" == document["about"]["servers"]
    assert set(families) == {each["family"] for each in document["results"]}
    assert all(each["rounds"] == 1 for each in document["results"])
    assert "| pair | backend |" in (tmp_path / "results.md").read_text()
    assert (tmp_path / "results.svg").read_text().startswith("<svg")


def test_a_round_is_a_slice_of_ours_between_two_of_the_peer(
    anyio_backend: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """
    On a new event loop each, in the process of its contender; a round in which the peer's two differ too much is left
    out.
    """
    pair = Pair("scripted", "scripted", scripted.ours, scripted.peer, peer_knows_trio=True)
    journal = tmp_path / "journal"
    monkeypatch.setattr(run, "PAIRS", (pair,))
    monkeypatch.setenv(scripted.JOURNAL, str(journal))
    cell = ["--backend", anyio_backend, "--callers", "32", "--size", "100"]
    status = run.main([*cell, "--rounds", "4", "--seconds", "0.25", "--cpus", "anywhere", "--output", str(tmp_path)])
    slices = [line.split() for line in journal.read_text().splitlines()]
    (result,) = json.loads((tmp_path / "results.json").read_text())["results"]

    assert 0 == status
    assert ["peer", "ours", "peer"] * 4 == [name for name, *_ in slices]
    assert 2 == len({(name, process) for name, process, *_ in slices}) == len({process for _, process, *_ in slices})
    assert {(anyio_backend, "32", "0.25")} == {(loop, *rest) for _, _, loop, _, *rest in slices}
    for name, count in (("ours", 4), ("peer", 8)):
        assert [str(number) for number in range(count)] == [number for each, _, _, number, *_ in slices if each == name]
    assert (4, 2) == (result["rounds"], result["dropped"])
    assert pytest.approx({"median": 0.5, "least": 0.5, "most": 0.5}) == result["ratio"] == result["wall_ratio"]
    assert pytest.approx({"median": 1.5, "least": 1, "most": 2}) == result["cost"]
    assert pytest.approx({"median": 3, "least": 2, "most": 4}) == result["peer_cost"]
    assert pytest.approx({"median": 375_000, "least": 250_000, "most": 500_000}) == result["rate"]
    assert pytest.approx({"median": 187_500, "least": 125_000, "most": 250_000}) == result["peer_rate"]


@pytest.mark.parametrize("name", placements())
def test_a_server_moves_to_its_place(name: str) -> None:
    """
    Which its arguments say, since it would be where the client is otherwise.
    """
    place = placements()[name]
    code = (
        "import os, sys; from benchmarks.placement import obeyed; print(obeyed(sys.argv[1:]), os.sched_getaffinity(0))"
    )
    command = [sys.executable, "-c", code, "http", place.argument]
    said = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=20).stdout

    assert said == f"{['http']} {set(place.servers)}\n"


def test_each_place_has_its_own_target() -> None:
    """
    Those of a lone caller and of trio differ from the others.
    """
    unix = next(pair for pair in PAIRS if pair.name.startswith("unix: framework / pool"))
    grpc = next(pair for pair in PAIRS if pair.name == "grpc: framework / grpc.aio")

    assert [1.6, 1.0, 1.0] == [unix.target("asyncio", callers) for callers in (1, 32, 256)]
    assert [1.6, 1.5, 1.5] == [unix.target("trio", callers) for callers in (1, 32, 256)]
    assert [1.1, 1.6, None] == [grpc.target(*place) for place in (("asyncio", 1), ("trio", 32), ("trio", 1))]
