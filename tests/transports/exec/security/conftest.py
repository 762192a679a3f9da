"""
What the tests of confinement share.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def program(place: Path) -> Callable[..., Path]:
    """
    Writes a script that answers one call with one value.
    """

    def write(answer: str = "right", name: str = "program") -> Path:
        path = place / name
        path.write_text(f'#!/bin/sh\ncat > /dev/null\nprintf \'"%s"\' "{answer}"\n')
        path.chmod(0o755)
        return path

    return write


@pytest.fixture
def bubblewrap() -> None:
    """
    Skips where bubblewrap is not installed.
    """
    if shutil.which("bwrap") is None:
        pytest.skip("needs the program bwrap (bubblewrap)")
