"""
Check that every type in a public signature is known, whatever a type checker infers; run by `tox -e types`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parent.parent


def main() -> int:
    """
    Check all packages, and return the number of those that have types which are not known.
    """
    packages = [found.parent for level in ("core", "*/*") for found in sorted(ROOT.glob(f"{level}/src/*/py.typed"))]
    folders = [*(str(package.parent) for package in packages), sysconfig.get_path("purelib")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}  # pyright verifies nothing that is editable
    return sum(_verify(package.name, environment) for package in packages)


def _verify(package: str, environment: Mapping[str, str]) -> bool:
    print(f"pyright --verifytypes {package}", flush=True)
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--verifytypes", package]
    done = subprocess.run([*command, "--ignoreexternal"], env=environment, capture_output=True, text=True)
    if done.returncode:
        print(done.stdout)
    return done.returncode != 0


if __name__ == "__main__":
    raise SystemExit(main())
