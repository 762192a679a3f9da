"""
A host for the tests that want to end one: it opens a channel, makes a call, says who is there, and closes the channel
at the end of its input.

Arguments: the backend; how children are kept (`keeper`, `groups`, `forkserver`, `forked` for a host that has a copy of
itself, or `forked early` for one that got it while its keeper started); the endpoint; the protocol; the program's
arguments.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Literal

import anyio

from remora.types import Call, Endpoint
from remora_exec._keeping import _starter
from remora_exec._keeping._hiring import Hiring
from remora_exec.plugin import ExecOptions, build


async def main() -> None:
    way, url, protocol, *args = sys.argv[2:]
    if way == "groups":
        _starter.KEEPS_DESCENDANTS = False
    method: Literal["spawn", "forkserver"] = "forkserver" if way == "forkserver" else "spawn"
    options = ExecOptions(protocol=protocol, args=tuple(args), start_method=method, stop_grace=60)
    copies = [await forked_early()] if way == "forked early" else []
    async with build(options).open(Endpoint(url)) as channel:
        reply = await channel.call(Call(service="S", method="grandchild", payload=b"null"))
        copies += [forked()] if way == "forked" else []
        os.write(1, f"{' '.join([reply.payload.decode(), *copies])}\n".encode())  # also where Python does not buffer
        await anyio.wait_readable(0)


def forked() -> str:
    """
    The PID of a copy of this process, which ends by itself if the test does not find out about it.
    """
    if (copy := os.fork()) == 0:
        signal.alarm(60)
        signal.pause()
    return str(copy)


async def forked_early() -> str:
    """
    The same, made while a keeper starts.
    """
    hiring = Hiring(None)
    copy = forked()
    await hiring.keeper()
    return copy


anyio.run(main, backend=sys.argv[1])
