"""
Pipes for the tests of what goes over them.
"""

from __future__ import annotations

import socket

from remora.io import SocketPipe


def socket_pair() -> tuple[SocketPipe, SocketPipe]:
    """
    Two connected pipes.
    """
    ours, theirs = socket.socketpair()
    return SocketPipe(ours), SocketPipe(theirs)
