"""
What whoever starts a process can hand it: signals to ignore, and closed standard streams.

What lives here: making the best of them. What must not: plugins and calls.
"""

from __future__ import annotations

import os
import signal

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
