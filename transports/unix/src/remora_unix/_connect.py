"""
The client's side of a Unix socket: from a path to a connected pipe.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from typing import TYPE_CHECKING

import anyio

from remora.errors import ConfigError, RemoraError, Unavailable, WrongProtocol
from remora.io import SocketPipe
from remora_unix._address import short_path
from remora_unix._credentials import require_user

if TYPE_CHECKING:
    from collections.abc import Collection

_FULL_BACKLOG_PAUSE = 0.01


async def connect(path: str, timeout: float, trusted: Collection[int]) -> SocketPipe:
    """
    A pipe to the process that listens at a path.

    Args:
        path: The path of the socket.
        timeout: Seconds to wait for the connection.
        trusted: The users to whom that process may belong.

    Raises:
        PeerRefused: It belongs to another user.
        Unavailable: Nobody listens there, or not in time.
        WrongProtocol: It is a socket of another kind.
        ConfigError: It is not a socket.
    """
    with anyio.move_on_after(timeout):
        while (connected := _try_connect(path)) is None:  # noqa: ASYNC110, the kernel has no event for it
            await anyio.sleep(_FULL_BACKLOG_PAUSE)
        return SocketPipe(_checked(connected, trusted, path))
    raise Unavailable(f"{path} has accepted no connection within {timeout:g} s", sent=False)


def _checked(connected: socket.socket, trusted: Collection[int], path: str) -> socket.socket:
    try:
        require_user(connected, trusted, path)
    except RemoraError:
        connected.close()
        raise
    return connected


def _try_connect(path: str) -> socket.socket | None:
    connecting = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connecting.setblocking(False)
    try:
        with short_path(path) as short:
            connecting.connect(short)
    except BlockingIOError:
        connecting.close()
        return None
    except OSError as error:
        connecting.close()
        raise _explain(path, error) from error
    except RemoraError:
        connecting.close()
        raise
    return connecting


def _explain(path: str, error: OSError) -> RemoraError:
    if error.errno == errno.EPROTOTYPE:
        return WrongProtocol(f"{path} is a socket, but not one for streams")
    if error.errno == errno.ECONNREFUSED:
        if not _is_socket(path):
            return ConfigError(f"{path} is not a socket")
        return Unavailable(f"nobody listens at {path}", sent=False)
    return Unavailable(f"cannot connect to {path}: {os.strerror(error.errno or 0)}", sent=False)


def _is_socket(path: str) -> bool:
    """
    Whether there is a socket at a path.
    """
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False
