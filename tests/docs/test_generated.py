"""
What is generated in the documentation is what the code says today.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

import remora
from remora import errors
from remora.config import ManagerConfig
from tests.docs.pages import ROOT

GENERATORS = ["config_page", "errors_page", "metrics_page"]


@pytest.mark.parametrize("generator", GENERATORS)
def test_page_is_up_to_date(generator: str) -> None:
    """
    Running the generator would change nothing.
    """
    program = [sys.executable, "-W", "error", str(ROOT / "tools" / f"{generator}.py"), "--check"]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr


def test_every_error_says_what_to_do() -> None:
    """
    Beside its meaning; families are no leaves.
    """
    found = [error for name in errors.__all__ if issubclass(error := getattr(errors, name), errors.RemoraError)]
    families = {errors.RemoraError, errors.TryLater, errors.GiveUp}

    assert [error for error in found if error not in families and "What to do:" not in (error.__doc__ or "")] == []


def test_every_error_can_be_imported_from_the_package() -> None:
    """
    A caller who wants to catch it need not know where it is defined.
    """
    assert set(errors.__all__) <= set(remora.__all__)


def test_every_key_of_the_configuration_has_a_meaning() -> None:
    """
    The tables have no empty last column.
    """
    rows = [line for line in (ROOT / "docs" / "configuration.md").read_text().splitlines() if line.startswith("| `")]

    assert len(rows) > len(ManagerConfig.__dataclass_fields__)
    assert [row for row in rows if row.endswith("|  |")] == []
