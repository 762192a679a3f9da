"""
Runs of Python programs that need not import Remora again: each is a fork of one process which has.

Such a run has a process, streams, an environment, a directory and an exit code of its own. What it shares with the
others are imported modules, which it does not take apart at its end either. So a test of what is imported, or of the
first or the last moments of a process, starts an interpreter instead.

What lives here: `ForkServer`, and the program behind it.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import json
import os
import pkgutil
import runpy
import select
import signal
import socket
import subprocess
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points
from pathlib import Path

PACKAGES = ("remora_cli", "remora_exec", "remora_http")
MODULES = (
    "anyio._backends._asyncio",
    "anyio._core._signals",
    "email.policy",
    "encodings.idna",
    "httpcore",
    "httpx",
    "importlib.resources.readers",
    "importlib_metadata",
    "remora._structure._objections",
    "remora.testing._memory",
    "rich.table",
)
_NOT_LOADED = ("__main__", "_trio")  # it runs, or needs what is not installed everywhere
LONGEST = 60.0
"""Seconds after which a run is killed."""


class ForkServer:
    """
    Runs programs, one after the other.

    Args:
        modules: What has been imported when a run begins; without any, all that the command line needs.
    """

    def __init__(self, *modules: str) -> None:
        self._modules = modules

    def __enter__(self) -> ForkServer:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            number = theirs.fileno()
            command = [sys.executable, "-P", __file__, str(number), *self._modules]
            self._process = subprocess.Popen(command, pass_fds=[number])
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.wait(LONGEST)

    def run(
        self, words: Sequence[str], *, cwd: Path, env: Mapping[str, str], stdin: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """
        What became of a run, as `subprocess.run` tells it.

        Args:
            words: What stands behind `python`: `-m` and a module or `-c` and code, and arguments; `-W error` before it.
            cwd: The directory.
            env: The environment; of Python's own variables only PYTHONPATH is obeyed.
            stdin: What is read from standard input; little enough for a pipe.
        """
        (their_in, our_in), (our_out, their_out), (our_err, their_err) = (os.pipe() for _ in range(3))
        with open(our_in, "w") as file:  # before the run begins, which may end without reading it
            file.write(stdin)
        order = json.dumps({"words": words, "cwd": str(cwd), "env": dict(env)})
        socket.send_fds(self._socket, [order.encode()], [their_in, their_out, their_err])
        for each in (their_in, their_out, their_err):
            os.close(each)
        with ThreadPoolExecutor(2) as pool:
            out, err = pool.map(_read, (our_out, our_err))
        code = os.waitstatus_to_exitcode(int(self._socket.recv(64)))
        return subprocess.CompletedProcess(words, code, out, err)


def _read(descriptor: int) -> str:
    with open(descriptor) as file:
        return file.read()


def _serve(number: int, *modules: str) -> None:
    """
    Fork for every order, and tell how the fork has ended, until there are no more orders.
    """
    ending = _Ending()
    atexit.register(ending.leave)  # as the first one, so that it is the last to run
    _load(modules or _of_command_line())
    with socket.socket(fileno=number) as orders:
        while True:
            order, streams, _, _ = socket.recv_fds(orders, 1 << 20, 3)
            if not order:
                return
            child = os.fork()
            if child == 0:
                break
            for each in streams:
                os.close(each)
            orders.send(str(_end_of(child)).encode())
    with ending:
        _become(streams, **json.loads(order))


class _Ending:
    """
    The end of a run that has not failed: it leaves the modules as they are, since that takes longer than most runs.
    """

    code: int | None = None

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        code = error.code or 0 if isinstance(error, SystemExit) else error or 0
        self.code = code if isinstance(code, int) else None

    def leave(self) -> None:
        if self.code is not None:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(self.code)


def _of_command_line() -> Iterator[str]:
    yield from MODULES
    yield from (each.module for each in entry_points(group="remora"))
    for package in map(importlib.import_module, PACKAGES):
        names = (module.name for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."))
        yield from (name for name in names if not name.endswith(_NOT_LOADED))


def _load(modules: Iterable[str]) -> None:
    for name in modules:
        importlib.import_module(name)
    importlib.import_module("remora.config").structure_config({"plugins": {}})  # generates what reads configurations
    gc.collect()
    gc.freeze()  # what is here now stays, and is not copied for being looked at


def _end_of(child: int) -> int:
    descriptor = os.pidfd_open(child)
    if not select.select([descriptor], [], [], LONGEST)[0]:
        os.kill(child, signal.SIGKILL)
    os.close(descriptor)
    return os.waitpid(child, 0)[1]


def _become(streams: list[int], words: list[str], cwd: str, env: dict[str, str]) -> None:
    """
    Do what an interpreter does that is started with these words.
    """
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.path[:0] = filter(None, env.get("PYTHONPATH", "").split(os.pathsep))
    if words[0] == "-W":
        warnings.simplefilter("error")
        words = words[2:]
    kind, what, *sys.argv[1:] = words
    if kind == "-m":
        sys.path.insert(0, cwd)
        runpy.run_module(what, run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, "")
        sys.argv[0] = "-c"
        exec(what, {"__name__": "__main__"})


if __name__ == "__main__":
    _serve(int(sys.argv[1]), *sys.argv[2:])
