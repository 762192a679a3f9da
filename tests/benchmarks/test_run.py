"""
The benchmarks run; how fast anything is, nobody judges here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.pairs import PAIRS
from benchmarks.placement import placements
from tests.architecture.sources import ROOT


@pytest.mark.long
def test_a_quick_run_writes_figures_table_and_plot(tmp_path: Path) -> None:
    """
    With slices of some milliseconds.
    """
    families = ["overhead", "codec", "unix", "serve"]
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
