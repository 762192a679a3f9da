"""
Prepare a release: one version for every distribution, and a chapter of CHANGELOG.md from the fragments.

    tox -e release -- 0.2.0

It only changes files; docs/releasing.md describes the steps before and after.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """
    Change the given tree, or this one.
    """
    parser = argparse.ArgumentParser(description="make the tree a release")
    parser.add_argument("version", type=Version)
    parser.add_argument("--tree", type=Path, default=ROOT, help="another checkout")
    words = parser.parse_args()
    before = current_version(words.tree)
    if words.version <= before:
        sys.exit(f"{words.version} does not come after {before}")
    for project in projects(words.tree):
        project.write_text(with_version(project.read_text(), before, words.version))
    options = ["--yes", "--version", str(words.version), "--dir", str(words.tree)]
    subprocess.run([sys.executable, "-m", "towncrier", "build", *options], check=True)


def projects(tree: Path) -> list[Path]:
    """
    The pyproject.toml of every distribution, including the third-party example.
    """
    return sorted(tree.glob("*/pyproject.toml")) + sorted(tree.glob("*/*/pyproject.toml"))


def current_version(tree: Path) -> Version:
    """
    The version of the core, which all distributions share.
    """
    return Version(tomllib.loads((tree / "core" / "pyproject.toml").read_text())["project"]["version"])


def with_version(text: str, before: Version, after: Version) -> str:
    """
    The text of a pyproject.toml with a new version for itself and its siblings.
    """
    mine = re.escape(str(before))
    text = re.sub(rf'(?m)^version = "{mine}"$', f'version = "{after}"', text)
    return re.sub(rf'"(remora[a-z-]*(?:\[[a-z,]+\])?)~={mine}"', rf'"\1~={after}"', text)


if __name__ == "__main__":
    main()
