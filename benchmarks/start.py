"""
How soon a plugin that is started as a child process can answer: `python -m benchmarks.start [--python PATH]`.

For comparison: an interpreter that does nothing, one that imports anyio, and one that runs an idle event loop, which no
plugin can do without. A plugin is ready when it has answered a call that was written to it before it began. What counts
is the CPU until then, which is the same on a busy machine. Programs are run one after the other, in a new order each
time; the median counts.

A forked plugin is one of `start_method = "forkserver"`, whose fork server runs already: what that and the plugin's
parent spend on it counts too.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from benchmarks.machine import environment, load
from benchmarks.served import cpu_of
from remora.types import Call, Endpoint
from remora.wire import REQUEST, encode_frame, encode_request
from remora_exec.plugin import ExecOptions, build

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from remora.protocols import Channel

PLUGIN = """
import os
from dataclasses import dataclass
from remora import serve, service

@dataclass(frozen=True)
class Text:
    text: str

@service("text.v1.Text")
class Texts:
    async def upper(self, request: Text) -> Text:
        return Text(request.text.upper())

    async def pid(self, request: Text) -> int:
        return os.getpid()

serve(Texts())
"""
NOTHING = "import anyio, os\nasync def main(): os.write(1, b'ready')\nanyio.run(main, backend={!r})\n"
SAY = "import os; os.write(1, b'ready')"
CALL = Call(service="text.v1.Text", method="pid", payload=b'{"text":"a"}')


@dataclass(frozen=True, slots=True)
class Program:
    """
    A program whose start is measured.

    Attributes:
        name: Its name in the table.
        arguments: The arguments of the interpreter.
        backend: The event loop of a plugin; empty for a program that is not a plugin.
    """

    name: str
    arguments: tuple[str, ...]
    backend: str = ""

    def run(self, python: str) -> float:
        """
        Seconds of CPU until it has answered, or has ended.
        """
        variables = {"PATH": "", "REMORA_LISTEN": "stdio:", "REMORA_PROTOCOL": "ttrpc", "REMORA_BACKEND": self.backend}
        with subprocess.Popen(
            [python, *self.arguments], env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write(encode_frame(1, REQUEST, encode_request(CALL, 0.0)) if self.backend else b"")
            child.stdin.flush()
            assert os.read(child.stdout.fileno(), 65536), "the program has not answered"
            cpu = cpu_of(child.pid)
            child.stdin.close()
        return cpu


@dataclass(frozen=True, slots=True)
class ForkedPlugin:
    """
    A plugin whose start by a fork server is measured, while that runs.

    Attributes:
        name: Its name in the table.
        plugin: Opens a channel to it.
    """

    name: str
    plugin: Callable[[], AbstractAsyncContextManager[Channel]]

    def run(self, python: str) -> float:
        """
        Seconds of CPU, of all processes, until it has answered.
        """
        return anyio.run(self._start_twice)

    async def _start_twice(self) -> float:
        async with self.plugin() as first:
            server = parent_of(parent_of(await _pid(first)))
            before = cpu_of(server)
            async with self.plugin() as second:
                pid = await _pid(second)
                return cpu_of(pid) + cpu_of(parent_of(pid)) + cpu_of(server) - before


async def _pid(channel: Channel) -> int:
    return int((await channel.call(CALL)).payload)


def parent_of(pid: int) -> int:
    """
    The parent of a process.
    """
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def main() -> None:
    """
    Measure, and print a table.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description="how soon a plugin can answer")
    parser.add_argument("--python", default=sys.executable, help="of an environment in which remora-exec is installed")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        programs = _programs(Path(folder), options.python)
        times: dict[str, list[float]] = {each.name: [] for each in programs}
        for each in programs:  # the first one may have to compile
            each.run(options.python)
        for _ in range(options.rounds):
            for each in random.sample(programs, len(programs)):
                times[each.name].append(each.run(options.python))
    _report({name: statistics.median(each) for name, each in times.items()})


def _programs(folder: Path, python: str) -> list[Program | ForkedPlugin]:
    plugin = folder / "plugin.py"
    plugin.write_text(PLUGIN)
    programs: list[Program | ForkedPlugin] = [
        Program("python", ("-c", SAY)),
        Program("import anyio", ("-c", f"import anyio; {SAY}")),
    ]
    for backend in ("asyncio", "trio"):
        programs.append(Program(f"anyio.run on {backend}", ("-c", NOTHING.format(backend))))
        programs.append(Program(f"plugin on {backend}", (str(plugin),), backend))
        options = ExecOptions(start_method="forkserver", args=(str(plugin),), env={"REMORA_BACKEND": backend})
        opened = partial(build(options).open, Endpoint(f"exec:{python}"))
        programs.append(ForkedPlugin(f"plugin, forked, on {backend}", opened))
    return programs


def _report(medians: dict[str, float]) -> None:
    print(f"{environment('remora', 'anyio', 'trio')}\nload {load()}\n")
    print("| program | ms of CPU | by `import anyio` | by `anyio.run` |\n|---|---|---|---|")
    for name, median in medians.items():
        loop = medians.get(f"anyio.run on {name.rpartition(' ')[2]}")
        beside = f"{median / loop:.2f}" if loop and name.startswith("plugin") else ""
        print(f"| {name} | {median * 1e3:.0f} | {median / medians['import anyio']:.2f} | {beside} |")


if __name__ == "__main__":
    main()
