"""
The pins: names and numbers, the same for pip and for uv, and those of what is installed.
"""

from __future__ import annotations

import re
import tomllib
from importlib import metadata

import pytest

from tests.architecture.sources import ROOT, distributions

PINS = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
UV = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["uv"]
OURS = {item.name for item in distributions()}
INSTALLED = {re.sub(r"[-_.]+", "-", item.name).lower(): item.version for item in metadata.distributions()}
VERSIONS = dict(pin.partition(" ;")[0].split("==") for pin in PINS)


def test_pip_and_uv_are_given_the_same_pins() -> None:
    """
    `tox -e pins` writes both.
    """
    assert UV["constraint-dependencies"] == PINS
    assert set(UV["build-constraint-dependencies"]) <= set(PINS)


@pytest.mark.parametrize("pin", PINS)
def test_pin_is_a_name_and_a_number(pin: str) -> None:
    """
    A pin holds on any index: no address, no path, no hash.
    """
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*==[0-9][a-z0-9.]*( ; [^:/@]+)?", pin)


@pytest.mark.every_cell
@pytest.mark.parametrize("name", sorted(INSTALLED.keys() - OURS))
def test_what_is_installed_is_pinned(name: str) -> None:
    """
    Nothing slips in beside the pins.
    """
    assert VERSIONS.get(name) == INSTALLED[name]


def test_no_lock_file_is_committed() -> None:
    """
    uv.lock records the addresses of registries, so it stays out of git.
    """
    assert "uv.lock" in (ROOT / ".gitignore").read_text().splitlines()
