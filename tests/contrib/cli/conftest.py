"""
What the tests of the command line share: real processes of it, in a directory with something to serve.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from tests.fork_server import ForkServer

COMMAND = [sys.executable, "-m", "remora_cli"]

SAMPLE = '''
"""Something to serve; it talks while it is imported, as many modules do."""

from dataclasses import dataclass

from remora import Code, PluginError, current_call, service

print("sample is imported")


@dataclass
class Text:
    text: str


@service("sample.v1.Echo")
class Echo:
    async def echo(self, request: Text) -> Text:
        return request

    async def any(self, request: object) -> object:
        return request

    async def header(self, request: Text) -> Text:
        return Text(current_call().headers.get(request.text, ""))

    async def refuse(self, request: Text) -> Text:
        raise PluginError("no such user", code=Code.NOT_FOUND, details={"id": 7})

    async def fail(self, request: Text) -> Text:
        raise ZeroDivisionError("by nought")

    def wait(self, request: Text) -> Text:
        with open("entered", "w"):  # two named pipes: both sides of each wait for the other
            pass
        with open("go"):
            return request


class Empty:
    pass


class Broken:
    def __init__(self):
        raise RuntimeError("no database")


def make():
    return Echo()


def make_nothing():
    return None


def leave():
    raise SystemExit(0)


async def make_later():
    return Echo()


instance = Echo()
'''


@dataclass(frozen=True)
class Result:
    """
    What a command left.
    """

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """
        The only line on standard error that is not the sample's own.
        """
        lines = [line for line in self.err.splitlines() if line != "sample is imported"]
        assert len(lines) == 1, self.err
        return lines[0]


Run = Callable[..., Result]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """
    A directory with a module `sample` in it.
    """
    return with_sample(tmp_path)


def with_sample(directory: Path) -> Path:
    """
    The directory, with the module.
    """
    (directory / "sample.py").write_text(SAMPLE)
    return directory


def writing_to(file: IO[Any], place: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """
    What became of a command whose results went into a file.
    """
    command = [*COMMAND, *words]
    return subprocess.run(
        command, cwd=place, env=environment(), stdout=file, stderr=subprocess.PIPE, text=True, timeout=60
    )


@pytest.fixture
def remora(place: Path, fork_server: ForkServer) -> Run:
    """
    Runs `remora` in that directory to its end.
    """

    def run(*args: str, stdin: str = "", **variables: str) -> Result:
        words = [*COMMAND[1:], *args]
        done = fork_server.run(words, cwd=place, env=environment(**variables), stdin=stdin)
        return Result(done.returncode, done.stdout, done.stderr)

    return run


@dataclass(frozen=True)
class Server:
    """
    A `remora serve` that can be called.
    """

    process: subprocess.Popen[str]
    urls: list[str]

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """
        Send a signal and return the exit code.
        """
        self.process.send_signal(number)
        return self.process.wait(20)


Serve = Callable[..., Server]


@pytest.fixture
def serve(place: Path) -> Iterator[Serve]:
    """
    Starts `remora serve` on some addresses.
    """
    with ExitStack() as stack:
        yield lambda *addresses, **how: stack.enter_context(serving(place, *addresses, **how))


@contextmanager
def serving(
    place: Path, *addresses: str, target: str = "sample:Echo", backend: str = "asyncio", auth: str | None = None
) -> Iterator[Server]:
    """
    A `remora serve` on these addresses, which has said so.
    """
    words = [word for address in addresses for word in ("--listen", address)]
    words += [] if auth is None else ["--auth", auth]
    with spawned(place, "serve", target, "--backend", backend, *words) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in addresses]
        yield Server(process, [re.fullmatch(r"serving \S+ at (\S+)\n", line)[1] for line in lines])  # type: ignore[index]


@contextmanager
def spawned(place: Path, *args: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """
    A running `remora`, killed at the end if it still runs.
    """
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*COMMAND, *args],
        cwd=place,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@contextmanager
def disposed(number: signal.Signals, handler: Any) -> Iterator[None]:
    """
    What children inherit for a signal while the context lasts.
    """
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, before)


def environment(**variables: str) -> dict[str, str]:
    """
    The environment without what would change the outcome.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("REMORA_", "_REMORA", "UV_"))}
    return {**kept, "COLUMNS": "80", **variables}
