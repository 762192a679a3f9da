"""
What goes wrong during a soak: processes are killed, stopped, restarted, and made to send garbage.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from remora import RemoraError

if TYPE_CHECKING:
    import random
    from collections.abc import Collection, Iterator

    from benchmarks.soak_plugin import Done
    from remora import Manager, Plugin


class Server:
    """
    A plugin that the host only connects to, in a process of its own that is restarted when it was killed.
    """

    def __init__(self, address: str, log: Path, backend: str) -> None:
        self.address = address
        self._command = [sys.executable, "-m", "benchmarks.soak_plugin", str(log), backend, address]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """
        The PID of the process that serves now.
        """
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """
        Start the process, or restart it.
        """
        self.stop()
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        """
        Kill the process.
        """
        if self._process is not None:
            self._process.kill()
            self._process.wait()


@contextmanager
def serving(servers: Collection[Server]) -> Iterator[None]:
    """
    Run servers while the context lasts.
    """
    for server in servers:
        server.start()
    try:
        yield
    finally:
        for server in servers:
            server.stop()


def free_port() -> int:
    """
    A free port of the loopback interface.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
        return port


class Chaos:
    """
    Makes one thing after the other go wrong.
    """

    def __init__(self, manager: Manager, servers: dict[str, Server], *, rng: random.Random) -> None:
        self.acts = Counter[str]()
        self.pids: dict[str, int] = {}
        self._manager = manager
        self._servers = servers
        self._rng = rng

    async def run(self, garblers: dict[str, Plugin[int, Done]], *, pause: float) -> None:
        """
        Act until cancelled; leaves no process stopped.
        """
        while True:
            await anyio.sleep(self._rng.uniform(0.5, 1.5) * pause)
            name = self._rng.choice(sorted(garblers))
            act = self._rng.choice(["kill", "stall", "garble", "restart"])
            self.acts[act] += 1
            if act == "garble":
                with suppress(RemoraError):
                    await garblers[name].execute(0, timeout=1)
            elif act == "restart":
                self._manager.restart(name)
            elif pid := self._pid(name):
                await (self._kill(name, pid) if act == "kill" else self._stall(pid))

    def _pid(self, name: str) -> int | None:
        """
        The PID of a plugin's process, if that is still a child of this one.
        """
        pid = self._servers[name].pid if name in self._servers else self.pids.get(name)
        with suppress(OSError, ValueError):
            parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
            return pid if int(parent) == os.getpid() else None
        return None

    async def _kill(self, name: str, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)
        if name in self._servers:
            await anyio.sleep(self._rng.uniform(0, 0.5))
            self._servers[name].start()

    async def _stall(self, pid: int) -> None:
        os.kill(pid, signal.SIGSTOP)
        try:
            await anyio.sleep(self._rng.uniform(0.1, 1.5))
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
