"""
Who is at the other end of a local socket, as the system says.

What lives here: asking, and judging users. What must not: paths and files.

The system notes the process that listens, or connects, at the moment when it does so; nobody can claim to be another.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remora.errors import ConfigError, PeerRefused

if TYPE_CHECKING:
    from collections.abc import Collection

KNOWS_PEERS = sys.platform == "linux"
"""Whether the system tells who is at the other end."""

_FORMAT = "3i"


@dataclass(frozen=True, slots=True)
class Credentials:
    """
    A process and its user, as they were when the socket was made.
    """

    pid: int
    uid: int
    gid: int

    def __str__(self) -> str:
        return f"pid:{self.pid} uid:{self.uid} gid:{self.gid}"


def credentials_of(connected: socket.socket) -> Credentials | None:
    """
    Who is at the other end; None where the system does not tell.
    """
    if not KNOWS_PEERS:
        return None
    found = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(_FORMAT))
    return Credentials(*struct.unpack(_FORMAT, found))


def trusted_users(configured: Collection[int] | None) -> frozenset[int]:
    """
    The users who may be at the other end: those that are configured, or else this process's own and root.

    Raises:
        ConfigError: Users are configured, and the system does not tell who is there.
    """
    if configured is None:
        return frozenset({os.geteuid(), 0})
    if not KNOWS_PEERS:
        raise ConfigError("this system does not tell who is at the other end of a socket, so users cannot be checked")
    return frozenset(configured)


def require_user(connected: socket.socket, trusted: Collection[int], path: str) -> None:
    """
    Check who listens at a path.

    Raises:
        PeerRefused: It is none of the trusted users.
    """
    found = credentials_of(connected)
    if found is None or found.uid in trusted:
        return
    remedy = f"if it is the plugin, set options = {{ peer_uid = {found.uid} }}"
    raise PeerRefused(f"the process that listens at {path} ({found}) belongs to another user; {remedy}")
