"""
A fork server: a keeper that has loaded what its programs of Python need, and whose forks run them.

What lives here: what is loaded, and what a fork does. What must not: how forks are made and ended (see `_birth` and
`_warden`), nor the host's side (see `_keeper`).

A fork has only the thread that forked, so nothing that is loaded may start others: that is checked.
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

from remora.serve import preload
from remora_exec._keeping import _kernel as kernel
from remora_exec._keeping._birth import Forked
from remora_exec._keeping._keeper_process import keep
from remora_exec._keeping._namesakes import Namesakes
from remora_exec._keeping._python_main import run_main

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME = "remora-forks"
_STREAMS = 3
_LATE = ("_transport", *(f"_wires.{each}" for each in ("_host_log", "_jsonl_server", "_oneshot_server", "_stdio")))


def main(host: int, backend: str, modules: Sequence[str], before: Sequence[str]) -> None:
    """
    Run the fork server of a host, which holds the other end of descriptor 0. A fork returns when its program has ended.

    Args:
        host: The PID of the host.
        backend: The event loop of the programs.
        modules: What else they will import.
        before: The modules that the interpreter had loaded when it had started.

    Raises:
        SystemExit: It cannot be one, as standard error says; or, in a fork, the program wants to end so.
    """
    control = _taken_aside()
    kernel.die_with_parent()  # which waits for it; what is loaded may hang
    if os.getppid() != host:
        raise SystemExit("its host is gone")
    _load(backend, modules)
    kernel.outlive_parent()  # from now on it sees for itself when the host is gone
    kernel.rename_process(_NAME, [_NAME, sys.executable])
    try:
        keep(host, _NAME.encode(), _places(), control=control, namesake=Namesakes(before).of)
        os._exit(0)
    except Forked as forked:
        fork = forked
    gc.enable()
    kernel.rename_process(fork.name, fork.main.words)
    run_main(fork.main, fork.env)


def _taken_aside() -> int:
    """
    The control socket under another number, so that nothing that is loaded reads from it or leaves it to a child. The
    file of a pinned interpreter is not left to children either.
    """
    for each in map(int, os.listdir("/proc/self/fd")):
        with suppress(OSError):  # that of the listing
            os.set_inheritable(each, each < _STREAMS)  # a program that is executed nevertheless gets no other
    control, nothing = os.dup(0), os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return control


def _load(backend: str, modules: Sequence[str]) -> None:
    try:
        preload(backend)
        for name in (*(f"remora_exec.{each}" for each in _LATE), *modules):
            import_module(name)
            if len(os.listdir("/proc/self/task")) > 1:
                raise SystemExit(f"{name} starts threads, which no fork would have")
    finally:
        sys.stdout.flush()  # what modules print when they are imported: each fork would write it
    gc.collect()


def _places() -> list[str]:
    """
    Where packages are installed: a directory that changes whenever one is added, upgraded or removed.
    """
    return [each for each in sys.path if os.path.basename(each) in ("site-packages", "dist-packages")]
