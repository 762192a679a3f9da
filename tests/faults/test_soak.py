"""
The soak, for four seconds.
"""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benchmarks.long_run import growth
from tests.architecture.sources import ROOT


@pytest.mark.fault(1, 2, 50, 62)
@pytest.mark.long
def test_a_soak_loses_nothing_and_leaves_nothing(anyio_backend: str) -> None:
    """
    Every call ends, none is made twice, and the books balance.
    """
    command = [
        sys.executable,
        "-m",
        "benchmarks.soak",
        "--minutes",
        "0.07",
        "--backend",
        anyio_backend,
        "--pause",
        "0.2",
    ]
    done = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True, timeout=90)
    report = json.loads(done.stdout or "{}")

    assert report.get("broken") == [], done.stdout + done.stderr
    assert report["asked"] > 200
    assert all(report["answered"].get(name) for name in ("ttrpc", "jsonl", "unix", "http"))
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([2] * 8, 0),
        ([2, 5, 2, 4, 5, 2, 3, 5], 0),
        ([*range(2, 42)], 11),
        ([2, 2, 2, 2, 2, 2, 7, 3], 1),
        ([2, 9, 9], 0),
    ],
)
def test_a_number_that_only_goes_up_and_down_has_not_grown(samples: list[int], expected: int) -> None:
    """
    One that has still grown at the end has; the soak fails then.
    """
    assert expected == growth(samples)
