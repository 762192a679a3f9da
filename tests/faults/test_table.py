"""
The table of faults says what is true.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.architecture.sources import ROOT
from tools.fault_table import faults, marked_tests

FAULTS = faults()


def test_page_is_up_to_date() -> None:
    """
    Whoever marks a test writes the page again.
    """
    done = subprocess.run([sys.executable, "tools/fault_table.py", "--check"], cwd=ROOT, check=False, text=True)

    assert done.returncode == 0


def test_every_number_has_its_row() -> None:
    """
    No gaps, and no test of a fault that nobody knows.
    """
    numbers = [row.number for row in FAULTS]

    assert numbers == list(range(1, 76))
    assert marked_tests().keys() <= set(numbers)


@pytest.mark.parametrize("row", FAULTS, ids=lambda row: f"{row.number}")
def test_every_fault_is_shown_or_has_a_reason(row) -> None:
    """
    Nothing is left out in silence.
    """
    assert marked_tests()[row.number] or row.reason


def test_the_number_stands_in_the_id() -> None:
    """
    `-k fault_63` runs what shows fault 63.
    """
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "--collect-only",
        "-k",
        "fault_63",
        "tests/core/extensions/test_conduct.py",
    ]
    done = subprocess.run(command, cwd=ROOT, check=True, text=True, capture_output=True)

    assert "holds_up_the_event_loop_is_named[" in done.stdout
    assert "an_interceptor_that_fails" not in done.stdout
