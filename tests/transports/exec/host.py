"""
A host for the tests that want to kill one: it opens a channel, makes a call, says who is there, and waits.
"""

from __future__ import annotations

import sys

import anyio

from remora.types import Call, Endpoint
from remora_exec.plugin import ExecOptions, build


async def main() -> None:
    url, protocol, *args = sys.argv[2:]
    transport = build(ExecOptions(protocol=protocol, args=tuple(args)))
    async with transport.open(Endpoint(url)) as channel:
        reply = await channel.call(Call(service="S", method="grandchild", payload=b"null"))
        print(reply.payload.decode(), flush=True)
        await anyio.sleep_forever()


anyio.run(main, backend=sys.argv[1])
