"""
Foreign peers for the tests of ttrpc.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

_SOURCES = Path(__file__).parents[2] / "peers" / "ttrpc_go"
_LIBRARIES = Path("/usr/share/gocode")


@pytest.fixture(scope="session")
def go_programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """
    A directory with the programs `server` and `client`, built from Go with containerd's library.
    """
    if shutil.which("go") is None:
        pytest.skip("needs the program go (golang-go)")
    if not (_LIBRARIES / "src/github.com/containerd/ttrpc").is_dir():
        pytest.skip("needs containerd's ttrpc for Go (golang-github-containerd-ttrpc-dev)")
    programs = tmp_path_factory.mktemp("ttrpc_go")
    for name in ("server", "client"):
        _build(_SOURCES / name, programs / name)
    return programs


def _build(source: Path, program: Path) -> None:
    environment = {**os.environ, "GO111MODULE": "off", "GOFLAGS": "", "GOPATH": str(_LIBRARIES)}
    if not environment.keys() & {"GOCACHE", "HOME", "XDG_CACHE_HOME"}:
        environment["GOCACHE"] = str(program.parent / "cache")
    subprocess.run(["go", "build", "-o", program, "."], cwd=source, env=environment, check=True, timeout=100)
