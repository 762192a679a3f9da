"""
Connecting to a Unix socket, and checking who listens there.

When the queue of a socket is full, the system says "try again", which event loops take for "wait a moment"; then they
write to a socket that was never connected. So this module tries until there is a place.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from typing import TYPE_CHECKING

import anyio

from remora.errors import ConfigError, PeerRefused

if TYPE_CHECKING:
    from remora_http._address import Address

_CREDENTIALS = "3i"
_FULL_BACKLOG_PAUSE = 0.01


async def connect_unix(address: Address) -> socket.socket:
    """
    A socket that is connected to the process that listens at an address.

    Raises:
        OSError: None does, or it is not a stream socket.
        PeerRefused: It belongs to a user who may not listen there.
    """
    while (connected := _try_connect(address.socket)) is None:  # noqa: ASYNC110, the kernel has no event for it
        await anyio.sleep(_FULL_BACKLOG_PAUSE)
    try:
        _require_user(connected, address)
    except BaseException:
        connected.close()
        raise
    return connected


def _require_user(connected: socket.socket, address: Address) -> None:
    if sys.platform != "linux":
        if address.peer_uid is not None:
            raise ConfigError("this system does not tell who listens at a socket, so peer_uid cannot be checked")
        return
    found = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(_CREDENTIALS))
    _, uid, _ = struct.unpack(_CREDENTIALS, found)
    if uid not in ((os.geteuid(), 0) if address.peer_uid is None else (address.peer_uid,)):
        remedy = f"if it is the plugin, set options = {{ peer_uid = {uid} }}"
        raise PeerRefused(f"the process that listens at {address.socket} belongs to the user {uid}; {remedy}")


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
