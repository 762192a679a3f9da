"""
The main program: measures each pair in its cells, round by round, and writes the report.

A round is a slice of the peer, one of ours, one of the peer, each on a new event loop, and each contender in a process
of its own; the cells are shuffled between rounds. A round in which the two slices of the peer differ by more than a
quarter does not count.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import ours, servers
from benchmarks.machine import load
from benchmarks.pairs import BACKENDS, CALLERS, PAIRS, SIZES, Pair
from benchmarks.placement import Placement, placements
from benchmarks.processes import Entry, Processes
from benchmarks.report import Result, write
from benchmarks.rounds import Round


@dataclass(slots=True)
class Cell:
    """
    A pair with one backend, number of callers and size.
    """

    pair: Pair
    backend: str
    callers: int
    size: int
    rounds: list[Round] = field(default_factory=list)


class Addresses:
    """
    The addresses of the servers; each is started when it is first needed.
    """

    def __init__(self, stack: ExitStack, placement: Placement) -> None:
        self._stack = stack
        self._placement = placement
        self._folder = stack.enter_context(tempfile.TemporaryDirectory())
        self._known: dict[str, str] = {
            "": "",
            "exec": ours.child("ttrpc-child", placement.argument),
            "exec-plugin": ours.child("remora stdio:", placement.argument),
            "child": placement.argument,
            "oneshot": ours.program(),
        }

    def of(self, kind: str, backend: str = "") -> str:
        """
        The address of a server of this kind; running on `backend`, when servers are compared.
        """
        name = f"{kind} {backend}".strip()
        if name not in self._known:
            self._known[name] = self._start(kind, backend)
        return self._known[name]

    def _start(self, kind: str, backend: str) -> str:
        if backend:
            addresses = {
                "served-http": "http:",
                "bare-http": "http:",
                "served-unix": f"unix://{self._folder}/{backend}",
            }
            return self._run(kind.split("-")[0], addresses.get(kind, ""), backend)
        if kind == "unix-plugin":
            return self._run("remora", f"unix://{self._folder}/remora")
        return self._run(kind, f"{self._folder}/{kind}")

    def _run(self, *arguments: str) -> str:
        return self._stack.enter_context(servers.running(*arguments, placement=self._placement))


def main(arguments: list[str]) -> int:
    """
    Measure and report; returns the exit status.
    """
    options = _parser().parse_args(arguments)
    placement = placements()[options.cpus]
    cells = [cell for pair in PAIRS for cell in _cells(pair, options)]
    before = load()
    with ExitStack() as stack:
        addresses, processes = Addresses(stack, placement), Processes(stack, placement)
        for number in range(options.rounds):
            for cell in random.sample(cells, len(cells)):
                cell.rounds.append(_round(cell, addresses, processes, options.seconds))
            print(f"round {number + 1} of {options.rounds} done; load {load()}", flush=True)
    results = [Result.of(cell.pair, cell.backend, cell.callers, cell.size, cell.rounds) for cell in cells]
    print(write(results, options.output, loads=(before, load()), placement=placement.words))
    return 0


def _round(cell: Cell, addresses: Addresses, processes: Processes, seconds: float) -> Round:
    """
    A round: a slice of the peer, one of ours, one of the peer.
    """
    roams = cell.pair.roams
    our, peer = _of_servers(cell, addresses) if cell.pair.is_of_servers else _of_clients(cell, addresses)
    before = processes.run(peer, seconds, roams=roams)
    middle = processes.run(our, seconds, roams=roams)
    return Round(before, middle, processes.run(peer, seconds, roams=roams))


def _of_clients(cell: Cell, addresses: Addresses) -> tuple[Entry, Entry]:
    pair, payload = cell.pair, ours.json_text(cell.size)
    our_address, peer_address = addresses.of(pair.our_server), addresses.of(pair.peer_server)
    if pair.peer_server == "http":
        peer_address = (
            f"{peer_address}/{ours.SERVICE}/{ours.METHOD}" if pair.peer is not ours.over_channel else our_address
        )
    if pair.our_server == "grpc":
        our_address = f"grpc://{our_address}"
    return (
        Entry(pair.ours, our_address, payload, cell.callers, cell.backend),
        Entry(pair.peer, peer_address, payload, cell.callers, _peer_backend(cell)),
    )


def _of_servers(cell: Cell, addresses: Addresses) -> tuple[Entry, Entry]:
    """
    Two servers. The client uses the same event loop for both, whatever the servers' are.
    """
    pair, payload = cell.pair, ours.json_text(cell.size)
    our_address = addresses.of(pair.our_server, cell.backend)
    peer_address = addresses.of(pair.peer_server, _peer_backend(cell))
    return (
        Entry(pair.ours, our_address, payload, cell.callers, "asyncio"),
        Entry(pair.peer, peer_address, payload, cell.callers, "asyncio"),
    )


def _peer_backend(cell: Cell) -> str:
    return cell.backend if cell.backend != "trio" or cell.pair.peer_knows_trio else "asyncio"


def _cells(pair: Pair, options: argparse.Namespace) -> list[Cell]:
    if options.only and pair.family not in options.only:
        return []
    return [
        Cell(pair, backend, callers, size)
        for backend in pair.backends
        for callers in pair.callers
        for size in pair.sizes
        if backend in options.backend and callers in options.callers and size in options.size
        if not options.quick or (callers < 256 and size == pair.sizes[0])
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks run", description="peers side by side")
    families = list(dict.fromkeys(pair.family for pair in PAIRS))
    parser.add_argument("--only", action="append", choices=families, help="a family of pairs; may be repeated")
    parser.add_argument("--backend", nargs="+", default=BACKENDS, choices=BACKENDS, help="where ours runs")
    parser.add_argument("--callers", nargs="+", type=int, default=CALLERS, choices=CALLERS, help="how many at once")
    parser.add_argument("--size", nargs="+", type=int, default=SIZES, choices=SIZES, help="bytes of payload")
    parser.add_argument("--rounds", type=int, default=7, help="how often each pair is run")
    parser.add_argument("--seconds", type=float, default=0.2, help="the length of a slice")
    parser.add_argument("--quick", action="store_true", help="only small payloads, at most 32 callers")
    parser.add_argument(
        "--cpus",
        default="apart",
        choices=placements(),
        help="where the client and the servers run, as seen by each other",
    )
    parser.add_argument("--output", type=Path, default=Path("benchmarks/results"), help="where the report goes")
    return parser
