"""
Foreign peers for the tests of ttrpc.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.peers.go import GOPATH, missing_packages

_SOURCES = Path(__file__).parents[2] / "peers" / "ttrpc_go"


@pytest.fixture(scope="session")
def go_peer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A server and client of Go in one program, built with containerd's library.
    """
    if shutil.which("go") is None:
        pytest.skip("needs the program go (golang-go)")
    if missing := missing_packages():
        pytest.skip(f"needs Debian's {', '.join(missing)}")
    program = tmp_path_factory.mktemp("ttrpc_go") / "peer"
    environment = {**os.environ, "GO111MODULE": "off", "GOFLAGS": "", "GOPATH": str(GOPATH)}
    if not environment.keys() & {"GOCACHE", "HOME", "XDG_CACHE_HOME"}:
        environment["GOCACHE"] = str(program.parent / "cache")
    subprocess.run(["go", "build", "-o", program, "."], cwd=_SOURCES, env=environment, check=True, timeout=100)
    return program
