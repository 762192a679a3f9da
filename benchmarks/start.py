"""
How soon a plugin that is started as a child process can answer: `python -m benchmarks.start [--python PATH]`.

For comparison: an interpreter that does nothing, one that imports anyio, and one that runs an idle event loop, which no
plugin can do without. A plugin is ready when it has answered a call that was written to it before it began. What counts
is the CPU until then, which is the same on a busy machine. Programs are run one after the other, in a new order each
time; the median counts.
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
from pathlib import Path

from benchmarks.rounds import environment, load
from benchmarks.served import cpu_of
from remora.types import Call
from remora.wire import REQUEST, encode_frame, encode_request

PLUGIN = """
from dataclasses import dataclass
from remora import serve, service

@dataclass(frozen=True)
class Text:
    text: str

@service("text.v1.Text")
class Texts:
    async def upper(self, request: Text) -> Text:
        return Text(request.text.upper())

serve(Texts())
"""
NOTHING = "import anyio, os\nasync def main(): os.write(1, b'ready')\nanyio.run(main, backend={!r})\n"
SAY = "import os; os.write(1, b'ready')"
CALL = Call(service="text.v1.Text", method="upper", payload=b'{"text":"a"}')


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


def main() -> None:
    """
    Measure, and print a table.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.start", description="how soon a plugin can answer")
    parser.add_argument("--python", default=sys.executable, help="of an environment in which remora-exec is installed")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        programs = _programs(Path(folder))
        times: dict[str, list[float]] = {each.name: [] for each in programs}
        for each in programs:  # the first one may have to compile
            each.run(options.python)
        for _ in range(options.rounds):
            for each in random.sample(programs, len(programs)):
                times[each.name].append(each.run(options.python))
    _report({name: statistics.median(each) for name, each in times.items()})


def _programs(folder: Path) -> list[Program]:
    plugin = folder / "plugin.py"
    plugin.write_text(PLUGIN)
    programs = [Program("python", ("-c", SAY)), Program("import anyio", ("-c", f"import anyio; {SAY}"))]
    for backend in ("asyncio", "trio"):
        programs.append(Program(f"anyio.run on {backend}", ("-c", NOTHING.format(backend))))
        programs.append(Program(f"plugin on {backend}", (str(plugin),), backend))
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
