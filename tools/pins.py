"""
Pin the versions of all that the workspace needs: in constraints.txt, for pip, and in pyproject.toml, for uv.

    tox -e pins                 pin new requirements, drop unused ones
    tox -e pins -- --upgrade    use the newest version of everything

No addresses or hashes are recorded, so the pins work with any index. `uv.lock` records addresses and stays out of git.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = """\
# Written by `tox -e pins`. Every version that the workspace was tested with, by name and number.
"""
_PIN = re.compile(r"[a-z0-9-]+==\S+( ; .+)?")
_WHOLE = ["--all-packages", "--all-extras", "--all-groups"]
_BUILD = ["--only-group", "build"]


def main() -> None:
    """
    Rewrite both files.
    """
    parser = argparse.ArgumentParser(description="pin the versions of all dependencies")
    parser.add_argument("--upgrade", action="store_true", help="take the newest version of everything")
    keep = not parser.parse_args().upgrade
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        _copy_projects(copy, keep=keep)
        pins, build = _export(copy, _WHOLE), _export(copy, _BUILD)
    _write(pins, build)


def _copy_projects(copy: Path, *, keep: bool) -> None:
    for project in [ROOT / "pyproject.toml", *ROOT.glob("*/pyproject.toml"), *ROOT.glob("*/*/pyproject.toml")]:
        target = copy / project.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(project, target)
    if not keep:
        root = copy / "pyproject.toml"
        root.write_text(_with_pins(root.read_text(), [], []))


def _export(copy: Path, what: list[str]) -> list[str]:
    bare = ["--no-hashes", "--no-annotate", "--no-header"]
    command = ["uv", "export", "--quiet", "--python", sys.executable, *bare, *what]
    lines = subprocess.run(command, cwd=copy, check=True, text=True, stdout=subprocess.PIPE).stdout.splitlines()
    return _tidy([line for line in lines if _PIN.fullmatch(line)])


def _tidy(pins: list[str]) -> list[str]:
    """
    The pins by name. A marker is dropped when its name occurs only once, since a constraint does not need it.
    """
    names = Counter(_name(pin) for pin in pins)
    return sorted((pin if names[_name(pin)] > 1 else pin.partition(" ;")[0] for pin in pins), key=_name)


def _name(pin: str) -> str:
    return pin.partition("==")[0]


def _write(pins: list[str], build: list[str]) -> None:
    (ROOT / "constraints.txt").write_text(HEADER + "".join(f"{pin}\n" for pin in pins))
    root = ROOT / "pyproject.toml"
    root.write_text(_with_pins(root.read_text(), pins, build))


def _with_pins(text: str, pins: list[str], build: list[str]) -> str:
    """
    The text of a pyproject.toml with its two lists of pins replaced.
    """
    for key, lines in {"constraint-dependencies": pins, "build-constraint-dependencies": build}.items():
        entries = "".join(f'    "{line}",\n' for line in lines)
        before, _, rest = text.partition(f"\n{key} = [")
        text = f"{before}\n{key} = [\n{entries}]{rest.partition(']')[2]}"
    return text


if __name__ == "__main__":
    main()
