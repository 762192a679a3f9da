"""
Calls from threads, without async: `remora.sync`, compared with `httpx.Client` against the same server.

    python -m benchmarks.threads [--rounds N] [--seconds S]

Both encode and decode a text of JSON of 100 bytes. Remora's other figures, over a Unix socket and on trio, are compared
with the same peer, over TCP.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from contextlib import ExitStack
from itertools import product
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Literal, Protocol

import httpx

from benchmarks import ours, servers
from benchmarks.machine import environment, load
from benchmarks.placement import placements
from benchmarks.rounds import Round, Slice, row
from remora import sync

if TYPE_CHECKING:
    from collections.abc import Callable

_THREADS = (1, 8)
_TEXT = json.loads(ours.json_text(100))


class Echo(Protocol):
    """
    What is called.
    """

    def echo(self, text: str) -> str:
        """
        Return `text`.
        """
        ...


def measure(call: Callable[[], object], seconds: float, threads: int) -> Slice:
    """
    Make calls for `seconds`, one after the other in each of so many threads.
    """
    counts = [0] * threads

    def keep_calling(number: int) -> None:
        while time.perf_counter() < ends:
            call()
            counts[number] += 1

    call()  # warm up
    wall, cpu = time.perf_counter(), time.process_time()
    ends = wall + seconds
    running = [Thread(target=keep_calling, args=(number,)) for number in range(threads)]
    for each in running:
        each.start()
    for each in running:
        each.join()
    return Slice(sum(counts), time.process_time() - cpu, time.perf_counter() - wall)


def through_remora(stack: ExitStack, endpoint: str, backend: Literal["asyncio", "trio"]) -> Callable[[], object]:
    """
    A call by a synchronous client.
    """
    plugin = {"endpoint": endpoint, "service": ours.SERVICE, "method": ours.METHOD}
    config: dict[str, object] = {"log_level": "error", "plugins": {"echo": plugin}}
    client = stack.enter_context(sync.Manager(config, backend=backend)).client("echo", Echo)
    return lambda: client.echo(_TEXT)


def through_httpx(stack: ExitStack, endpoint: str) -> Callable[[], object]:
    """
    The same by hand.
    """
    client = stack.enter_context(httpx.Client())
    url = f"{endpoint}/{ours.SERVICE}/{ours.METHOD}"
    return lambda: client.post(url, json=_TEXT).json()


def main() -> None:
    """
    Measure and print.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.threads", description="calls from threads")
    parser.add_argument("--rounds", type=int, default=9, help="how often each pair is run")
    parser.add_argument("--seconds", type=float, default=0.3, help="the length of a slice")
    options = parser.parse_args()
    print(environment("remora", "anyio", "trio", "httpx"), f"load before: {load()}", sep="\n")
    with ExitStack() as stack:
        path = Path(stack.enter_context(tempfile.TemporaryDirectory()), "ttrpc")
        anywhere = placements()["anywhere"]
        http = stack.enter_context(servers.running("http", placement=anywhere))
        unix = stack.enter_context(servers.running("ttrpc", str(path), placement=anywhere))
        peer = through_httpx(stack, http)
        calls = {
            "HTTP": through_remora(stack, http, "asyncio"),
            "HTTP, on trio": through_remora(stack, http, "trio"),
            "Unix socket": through_remora(stack, unix, "asyncio"),
            "Unix socket, on trio": through_remora(stack, unix, "trio"),
        }
        cells = [*product(calls, _THREADS)]
        rounds: dict[tuple[str, int], list[Round]] = {cell: [] for cell in cells}
        for _ in range(options.rounds):
            for name, threads in random.sample(cells, len(cells)):
                before = measure(peer, options.seconds, threads)
                middle = measure(calls[name], options.seconds, threads)
                rounds[name, threads].append(Round(before, middle, measure(peer, options.seconds, threads)))
    print(f"load after:  {load()}\n")
    print("| remora.sync / httpx.Client | threads | CPU ratio | wall ratio | us CPU, ours | us CPU, httpx | dropped |")
    print("|---|---|---|---|---|---|---|")
    for (name, threads), found in rounds.items():
        print(row(f"{name} | {threads}", found))


if __name__ == "__main__":
    main()
