"""
What the tests of packaging share: all distributions, built as a release builds them, and environments to install into.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from uv import find_uv_bin

from tests.architecture.sources import ROOT

Uv = Callable[..., str]


@pytest.fixture(scope="session")
def uv() -> Uv:
    """
    Runs uv, and gives what it prints.
    """

    def run(*arguments: str, cwd: Path) -> str:
        result = subprocess.run([find_uv_bin(), *arguments], cwd=cwd, capture_output=True, text=True, timeout=200)
        assert result.returncode == 0, result.stderr
        return result.stdout

    return run


@pytest.fixture(scope="session")
def built(uv: Uv, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A folder with a source archive of each distribution, and the wheel that was built from that.
    """
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--all-packages", "--out-dir", str(folder), cwd=ROOT)
    return folder


@pytest.fixture(scope="session")
def wheels(built: Path) -> Path:
    """
    The folder with the wheels of all distributions, and constraints that say where they are.
    """
    addresses = [f"{wheel.name.split('-')[0].replace('_', '-')} @ {wheel.as_uri()}" for wheel in built.glob("*.whl")]
    (built / "ours.txt").write_text("".join(f"{address}\n" for address in addresses))
    return built


def pins_of(wheels: Path) -> list[str]:
    """
    The options that make an installer take other people's packages as pinned, and ours from the wheels.
    """
    return ["--constraints", str(ROOT / "constraints.txt"), "--constraints", str(wheels / "ours.txt")]
