"""
A host for the tests that want to kill one: it opens a channel, makes a call, says who is there, and waits.

Arguments: the backend; how children are kept (`keeper`, `groups`, `forkserver`, or `forked` for a host that has a copy
of itself); the endpoint; the protocol; the program's arguments.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Literal

import anyio

from remora.types import Call, Endpoint
from remora_exec._keeping import _starter
from remora_exec.plugin import ExecOptions, build


async def main() -> None:
    way, url, protocol, *args = sys.argv[2:]
    if way == "groups":
        _starter.KEEPS_DESCENDANTS = False
    method: Literal["spawn", "forkserver"] = "forkserver" if way == "forkserver" else "spawn"
    transport = build(ExecOptions(protocol=protocol, args=tuple(args), start_method=method))
    async with transport.open(Endpoint(url)) as channel:
        reply = await channel.call(Call(service="S", method="grandchild", payload=b"null"))
        copy = os.fork() if way == "forked" else -1
        if copy == 0:
            signal.pause()
        words = [reply.payload.decode(), *([str(copy)] if copy > 0 else [])]
        os.write(1, f"{' '.join(words)}\n".encode())  # at once, also where Python does not buffer
        await anyio.sleep_forever()


anyio.run(main, backend=sys.argv[1])
