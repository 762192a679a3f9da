"""
The plugin of the soak: it logs every call that reaches it, and breaks its own connections when asked to.

    python -m benchmarks.soak_plugin LOG BACKEND [ADDRESS]
"""

from __future__ import annotations

import os
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass

from remora import idempotent, serve, service

GARBAGE = b"\x00\xff\x80 garbage \x7f\n"


@dataclass(frozen=True)
class Done:
    """
    The reply: which call it was, and which process answered.
    """

    token: int
    pid: int


@service("soak.v1.Ledger", version="1.0")
class Ledger:
    """
    Writes a line to a log for every call.
    """

    def __init__(self, log: str) -> None:
        self._log = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    async def add(self, token: int) -> Done:
        """
        Log a call that must not be made twice.
        """
        os.write(self._log, b"%d\n" % token)
        return Done(token, os.getpid())

    @idempotent
    async def look(self, token: int) -> Done:
        """
        Reply to a call that may be made twice.
        """
        return Done(token, os.getpid())

    async def garble(self, token: int) -> Done:
        """
        Write garbage to every descriptor that could be a connection.
        """
        for name in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                if int(name) > 2 and _is_wire(int(name)):
                    os.write(int(name), GARBAGE)
        return Done(token, os.getpid())


def _is_wire(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


if __name__ == "__main__":
    serve(Ledger(sys.argv[1]), backend=sys.argv[2], listen=sys.argv[3:])
