"""
One plugin over every wire.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio

from remora import Manager, ServeOptions, serving

WIRES = ("http", "grpc", "unix", "tcp", "ttrpc", "jsonl", "oneshot")
ROOT = Path(__file__).parents[2]


@asynccontextmanager
async def over(wire: str, service: type, *, limit: int | None = None, **table: object) -> AsyncIterator[Manager]:
    """
    A manager whose plugin `p` serves a class of a module, over one of `WIRES`.

    Args:
        wire: The wire.
        service: The class.
        limit: The plugin's own `max_message_size`.
        **table: More of the host's table.
    """
    transport = {} if limit is None else {"max_message_size": limit}
    with anyio.fail_after(30):
        async with AsyncExitStack() as stack:
            if wire in ("ttrpc", "jsonl", "oneshot"):
                name = service.__name__
                program = f"""
from remora import ServeOptions, serve
from {service.__module__} import {name}
serve({name}(), options=ServeOptions(transport={transport}))
"""
                child = {"endpoint": f"exec:{sys.executable}", "args": ["-c", program], "protocol": wire}
                table = {**child, "work_dir": str(ROOT), **table}
            else:
                served = await stack.enter_async_context(
                    serving(service(), listen=f"{wire}:", options=ServeOptions(transport=transport))
                )
                table = {"endpoint": served.endpoints[0].url, **table}
            yield await stack.enter_async_context(Manager({"plugins": {"p": table}}))
