"""
Check every kind of project that `remora new` writes with mypy and pyright, both strict; run by `tox -e types`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

PLUGINS = ("http", "grpc", "unix", "exec")
KINDS = ("auth", "balancer", "codec", "command", "event", "exporter", "interceptor", "resolver", "transport")
PROJECTS = [
    *(("plugin", f"my-{name}-plugin", "--transport", name) for name in PLUGINS),
    ("host", "my-host"),
    *(("extension", f"my-{name}", "--kind", name) for name in KINDS),
]
"""The arguments of `remora new`; all names differ, so that one run of a checker can read all projects."""


def main() -> int:
    """
    Write and check all projects, and return the number of checks that failed.
    """
    with tempfile.TemporaryDirectory() as directory:
        folders = [_write(Path(directory), *words) for words in PROJECTS]
        checks = [*(_mypy(Path(directory), folder) for folder in folders), _pyright(Path(directory), folders)]
    return sum(status != 0 for status in checks)


def _write(directory: Path, what: str, name: str, *options: str) -> Path:
    command = [sys.executable, "-m", "remora_cli", "new", what, name, *options]
    subprocess.run(command, cwd=directory, check=True, stdout=subprocess.DEVNULL)
    return directory / name


def _mypy(directory: Path, folder: Path) -> int:
    print(f"mypy --strict {folder.name}", flush=True)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(directory / "cache"), "src", "tests"]
    return subprocess.run(command, cwd=folder).returncode


def _pyright(directory: Path, folders: list[Path]) -> int:
    print("pyright", *(folder.name for folder in folders), flush=True)
    environments = ", ".join(f'{{"root": "{folder.name}", "extraPaths": ["{folder.name}/src"]}}' for folder in folders)
    settings = f'{{"typeCheckingMode": "strict", "executionEnvironments": [{environments}]}}'
    (directory / "pyrightconfig.json").write_text(settings)
    command = [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--project", str(directory)]
    return subprocess.run(command).returncode


if __name__ == "__main__":
    raise SystemExit(main())
