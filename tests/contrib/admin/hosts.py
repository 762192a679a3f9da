"""
`remora run` as a process, and the file that it follows.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

PLUGIN = """
[plugins.{name}]
endpoint = "exec:{python}"
args = ["-m", "remora_cli", "serve", "remora_cli.demo.text:TextProcessor", "--listen", "stdio:"]
"""


def write(path: Path, *names: str) -> None:
    whole = "".join(PLUGIN.format(name=name, python=sys.executable) for name in names)
    fresh = path.with_suffix(".new")
    fresh.write_text(whole)
    fresh.replace(path)


@contextmanager
def running(config: Path, *options: str, backend: str):
    """
    The process, and the address of its endpoints.
    """
    command = [sys.executable, "-m", "remora_cli", "run", str(config), "--listen", "127.0.0.1:0", "--json"]
    process = subprocess.Popen(
        [*command, "--backend", backend, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        yield process, json.loads(line)["url"]
    finally:
        process.kill()
        process.communicate()
