"""
A served plugin with few descriptors. It prints its address, and ends with its standard input.

    python -m tests.faults.crowd BACKEND
"""

from __future__ import annotations

import logging
import os
import resource
import sys
import traceback

import anyio
import anyio.to_thread

from remora import serving


class Small:
    """
    Has room for a few.
    """

    async def ask(self) -> str:
        """An answer."""
        return "still here"


async def main() -> None:
    """
    Serve until nobody writes any more.
    """
    async with serving(Small(), listen="http://127.0.0.1:0") as served:
        await anyio.to_thread.run_sync(int)  # the thread that is waited in has its descriptors before they are few
        few = len(os.listdir("/proc/self/fd")) + 20
        resource.setrlimit(resource.RLIMIT_NOFILE, (few, few))
        print(served.endpoints[0].url, flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read)


def warm_up() -> None:
    """
    Have loaded what shows a traceback, for which there will be no descriptor.
    """
    try:
        raise OSError
    except OSError as error:
        traceback.format_exception(error)


logging.basicConfig(level=logging.WARNING)
warm_up()
anyio.run(main, backend=sys.argv[1])
