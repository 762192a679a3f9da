"""
A host that makes calls, and exports to a collector while it does so.

    python host.py CONFIG BACKEND     prints `called` when the calls are made, waits for a line, and ends
"""

from __future__ import annotations

import json
import sys

import anyio

from remora import Manager, serving
from remora.testing import MemoryTransport


class Echo:
    async def echo(self, words: str) -> str:
        return words


async def main() -> None:
    transport = MemoryTransport()
    extensions = [transport.extension]
    async with (
        serving(Echo(), listen="memory:echo", extensions=extensions),
        Manager(json.loads(sys.argv[1]), extensions=extensions) as manager,
    ):
        await anyio.to_thread.run_sync(sys.stdin.readline)
        echo = manager.client("echo", Echo).echo
        for _ in range(100):
            await echo("x")
        print("called", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.readline)


if __name__ == "__main__":
    anyio.run(main, backend=sys.argv[2])
