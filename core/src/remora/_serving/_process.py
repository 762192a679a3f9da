"""
The process of a plugin: what whoever starts it can hand it (signals to ignore, closed standard streams), and its end.

What lives here: making the best of them. What must not: calls.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
from contextlib import suppress

from remora._serving._handlers import has_busy_threads

_STANDARD = (0, 1, 2)


def stopping_signals() -> tuple[signal.Signals, ...]:
    """
    The signals that ask a program to stop: SIGTERM, SIGINT, and SIGHUP unless it is ignored, as under `nohup`.
    """
    hangup = getattr(signal, "SIGHUP", None)
    if hangup is None or signal.getsignal(hangup) is signal.SIG_IGN:
        return signal.SIGTERM, signal.SIGINT
    return signal.SIGTERM, signal.SIGINT, hangup


def occupy_standard_streams() -> None:
    """
    Open the null device in the place of each standard stream that is closed.

    Otherwise the next sockets get these numbers, and whatever a library in C prints there goes to a peer.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) in _STANDARD:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def leave_threads_behind(status: int) -> None:
    """
    End the process with this status if synchronous handlers still run, since Python would wait for their threads.

    What `atexit` knows is done first, as flushing logs, and the standard streams are flushed.
    """
    if not has_busy_threads():
        return
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # it is full or closed
            stream.flush()
    os._exit(status)
