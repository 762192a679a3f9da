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
from importlib import import_module
from typing import TYPE_CHECKING

from remora.serve import preload
from remora_exec import _kernel as kernel
from remora_exec._birth import Forked
from remora_exec._keeper_process import keep
from remora_exec._python_main import run_main

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAME = "remora-forks"
_LATE = ("_host_log", "_jsonl_server", "_oneshot_server", "_stdio", "_transport")


def main(host: int, backend: str, modules: Sequence[str]) -> None:
    """
    Run the fork server of a host, which holds the other end of descriptor 0. A fork returns when its program has ended.

    Args:
        host: The PID of the host.
        backend: The event loop of the programs.
        modules: What else they will import.

    Raises:
        SystemExit: It cannot be one, as standard error says; or, in a fork, the program wants to end so.
    """
    _load(backend, modules)
    kernel.rename_process(_NAME, [_NAME, sys.executable])
    try:
        keep(host, _NAME.encode(), _places())
        os._exit(0)
    except Forked as forked:
        fork = forked
    gc.enable()
    kernel.rename_process(fork.name, fork.main.words)
    run_main(fork.main, fork.env)


def _load(backend: str, modules: Sequence[str]) -> None:
    preload(backend)
    for name in (*(f"remora_exec.{each}" for each in _LATE), *modules):
        import_module(name)
        if len(os.listdir("/proc/self/task")) > 1:
            raise SystemExit(f"{name} starts threads, which no fork would have")
    gc.collect()


def _places() -> list[str]:
    """
    Where packages are installed: a directory that changes whenever one is added, upgraded or removed.
    """
    return [each for each in sys.path if os.path.basename(each) in ("site-packages", "dist-packages")]
