"""
Made-up distributions, installed where only a program that the test runs sees them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from tests.fork_server import ForkServer


@dataclass(frozen=True)
class Site:
    """
    A directory of distributions.
    """

    path: Path
    fork_server: ForkServer

    def install(self, name: str, version: str, entry_points: Mapping[str, str], **modules: str) -> None:
        """
        Install a distribution with entry points of the group `remora`, and with modules.
        """
        info = self.path / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = "".join(f"{key} = {value}\n" for key, value in entry_points.items())
        (info / "entry_points.txt").write_text(f"[remora]\n{lines}")
        for module, code in modules.items():
            (self.path / f"{module}.py").write_text(dedent(code))

    def run(self, program: str, **variables: str) -> str:
        """
        What a program prints that sees the distributions.
        """
        env = {**os.environ, "PYTHONPATH": str(self.path), **variables}
        result = self.fork_server.run(["-W", "error", "-c", dedent(program)], cwd=self.path, env=env)
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()
