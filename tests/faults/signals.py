"""
A host whose children end in every way, which says at the end which signals went to numbers that were nobody's.

    python -m tests.faults.signals BACKEND
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress

import anyio

from remora import RemoraError
from remora.types import Call, Endpoint
from remora_exec.plugin import ExecOptions, build

ENDS = ("exec sleep 60", "read -r line; exit 3", "read -r line; kill -9 $$", "exit 0", "trap '' TERM; sleep 60 & wait")
sent: list[int] = []
astray: list[int] = []


def look(event: str, args: tuple[int, ...]) -> None:
    """
    Whether there is still a child, be it dead, that has the number which gets a signal.
    """
    if event in ("os.kill", "os.killpg") and args[1] != 0:
        (sent if os.path.exists(f"/proc/{args[0]}") else astray).append(args[0])


async def main() -> None:
    """
    Start and leave a program for each way to end, twice.
    """
    with anyio.fail_after(30):
        for body in ENDS * 2:
            options = ExecOptions(protocol="jsonl", args=("-c", body), stop_grace=0.05, term_grace=0.05)
            async with build(options).open(Endpoint("exec:/bin/sh")) as channel:
                with anyio.move_on_after(0.2), suppress(RemoraError):
                    await channel.call(Call(payload=b"null", content_type="application/json"))


sys.addaudithook(look)
anyio.run(main, backend=sys.argv[1])
print(json.dumps({"sent": len(sent), "astray": astray}))
