"""
Connecting to a Unix socket.

Event loops take "try again", which the system says of a full queue, for "wait a moment", and then write to a socket
that was never connected. So it is tried here until there is a place.
"""

from __future__ import annotations

import socket

import anyio

_FULL_BACKLOG_PAUSE = 0.01


async def connect_unix(path: str) -> socket.socket:
    """
    A socket that is connected to whoever listens at a path.

    Raises:
        OSError: Nobody does, or it is no socket for streams.
    """
    while (connected := _try_connect(path)) is None:  # noqa: ASYNC110, the kernel has no event for it
        await anyio.sleep(_FULL_BACKLOG_PAUSE)
    return connected


def _try_connect(path: str) -> socket.socket | None:
    if not hasattr(socket, "AF_UNIX"):
        raise OSError("this system has no Unix sockets")
    connecting = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connecting.setblocking(False)
        connecting.connect(path)
    except BlockingIOError:
        connecting.close()
        return None
    except BaseException:
        connecting.close()
        raise
    return connecting
