"""
Calls beside those of a Go program: of the manager of agilira/go-plugins, which has fewer policies around a call.

    python -m benchmarks.beside_go PROGRAM [--rounds N]

`PROGRAM` is built from `benchmarks/go`. Both managers have a rate limit that never holds, a circuit breaker, health
checks and retries, and both encode and decode a text of JSON. Over HTTP both call the same server; over Unix sockets
each calls the smallest server of its own protocol, and the Go manager sends a ping before each call.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import tempfile
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from benchmarks import ours, servers
from benchmarks.machine import environment, load
from benchmarks.pairs import BACKENDS
from benchmarks.placement import Placement, placements
from benchmarks.processes import Entry, Processes
from benchmarks.rounds import Round, Slice, measure, row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.rounds import Contender

_TRANSPORTS = ("http", "unix")
_CALLERS = (1, 32)
_BYTES = 100
_WARM = 0.2


class Echo(Protocol):
    """
    What is called.
    """

    async def echo(self, text: str) -> str:
        """
        Return `text`.
        """
        ...


def typed(endpoint: str, payload: bytes, callers: int) -> Contender:
    """
    Calls by a typed client, encoding and decoding included.
    """
    text = payload[1:-1].decode()

    async def contender(seconds: float) -> Slice:
        async with ours.managing(endpoint, callers) as manager:
            client = manager.client("echo", Echo)
            return await measure(lambda: client.echo(text), seconds, callers=callers, batch=1)

    return contender


class GoManager:
    """
    A process of the Go program, which calls when it is asked to.
    """

    def __init__(self, stack: ExitStack, command: Iterable[str]) -> None:
        self._process = stack.enter_context(
            subprocess.Popen([*command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        )
        stack.callback(self._process.kill)
        self.run(_WARM)

    def run(self, seconds: float) -> Slice:
        """
        A slice of its calls.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(round(seconds * 1000), file=self._process.stdin, flush=True)
        calls, cpu, wall = self._process.stdout.readline().split()
        return Slice(int(calls), float(cpu), float(wall))


class Places:
    """
    Where the two managers call, and the processes of the Go program.
    """

    def __init__(self, stack: ExitStack, program: Path, placement: Placement) -> None:
        self._stack = stack
        self._program = program
        self._placement = placement
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        http = stack.enter_context(servers.running("http", placement=placement))
        ttrpc = stack.enter_context(servers.running("ttrpc", f"{folder}/ttrpc", placement=placement))
        self.ours = {"http": http, "unix": ttrpc}
        self._theirs = {"http": f"{http}/{ours.SERVICE}/{ours.METHOD}", "unix": self._serve(f"{folder}/go")}

    def manager(self, transport: str, callers: int) -> GoManager:
        """
        A Go manager that calls over this transport.
        """
        arguments = "call", transport, self._theirs[transport], str(_BYTES), str(callers)
        return GoManager(self._stack, self._placed(self._placement.client, *arguments))

    def _serve(self, path: str) -> str:
        command = self._placed(self._placement.servers, "serve", path)
        server = self._stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        self._stack.callback(server.kill)
        assert server.stdout is not None
        return server.stdout.readline().strip()

    def _placed(self, cpus: frozenset[int], *arguments: str) -> list[str]:
        return ["taskset", "-c", ",".join(map(str, sorted(cpus))), str(self._program), *arguments]


def main() -> int:
    """
    Measure and print; returns the exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.beside_go", description="calls beside those of Go")
    parser.add_argument("program", type=Path, help="built from benchmarks/go")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="the length of a slice")
    parser.add_argument("--cpus", choices=placements(), default="apart", help="where client and servers run")
    options = parser.parse_args()
    placement = placements()[options.cpus]
    cells = [*product(_TRANSPORTS, _CALLERS, BACKENDS)]
    rounds: dict[tuple[str, int, str], list[Round]] = {cell: [] for cell in cells}
    print(environment("remora", "anyio", "trio", "uvloop"), f"load before: {load()}", placement.words, sep="\n")
    with ExitStack() as stack:
        places, processes = Places(stack, options.program.resolve(), placement), Processes(stack, placement)
        managers = {each: places.manager(*each) for each in product(_TRANSPORTS, _CALLERS)}
        for _ in range(options.rounds):
            for cell in random.sample(cells, len(cells)):
                transport, callers, backend = cell
                peer = managers[transport, callers]
                entry = Entry(typed, places.ours[transport], ours.json_text(_BYTES), callers, backend)
                before = peer.run(options.seconds)
                middle = processes.run(entry, options.seconds, roams=False)
                rounds[cell].append(Round(before, middle, peer.run(options.seconds)))
    print(f"load after: {load()}\n")
    print("| transport | callers | backend | CPU ratio | wall ratio | us CPU, Remora | us CPU, Go | dropped |")
    print("|---|---|---|---|---|---|---|---|")
    for (transport, callers, backend), found in rounds.items():
        print(row(f"{transport} | {callers} | {backend}", found))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
