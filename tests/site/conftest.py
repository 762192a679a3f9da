"""
The site, built once for all tests of it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.sources import ROOT

SITE = ROOT / "build" / "site"


@pytest.fixture(scope="session")
def site() -> Path:
    """
    The folder with the pages; it stays there to be looked at.
    """
    pytest.importorskip("sphinx", reason="needs the dependency group `site`")
    program = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-E", "-c", "docs"]
    done = subprocess.run(
        [*program, "-d", "build/doctrees", ".", str(SITE)], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return SITE
