"""
What the entry point `unix` leads to: the description of the transport, and nothing heavy.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from remora.config import ConnectionConfig
from remora.hookspecs import hookimpl
from remora.specs import TransportSpec
from remora.values import Count, Number, dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remora.protocols import Transport
    from remora.types import Endpoint

__all__ = ["Options", "build", "check", "remora_register_transports"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """
    What can be configured about Unix sockets.

    Attributes:
        connection: How instances are connected.
        max_message_size: The largest request or reply, in bytes.
        peer_uid: The user whose process may listen at the socket; by default this process's own user, or root.
        allowed_uids: When serving, the users who may connect; by default this process's own user, and root.
    """

    connection: ConnectionConfig = field(default_factory=ConnectionConfig)
    max_message_size: Count = 4 * 1024 * 1024
    peer_uid: Number | None = None
    allowed_uids: tuple[Number, ...] | None = None


def build(options: Options) -> Transport:
    """
    The transport for one plugin.
    """
    from remora_unix._transport import UnixTransport

    return UnixTransport(options)


def check(endpoint: Endpoint) -> None:
    """
    Refuse an endpoint that can never be called.

    Raises:
        ConfigError: It is one.
    """
    from remora_unix._address import socket_of

    socket_of(endpoint)


@hookimpl
def remora_register_transports() -> Iterable[TransportSpec[Options]]:
    """
    The transport `unix`.
    """
    spec = TransportSpec(
        name="unix", schemes=("unix",), options=Options, build=build, native_deadline=True, check=check
    )
    return [spec]
