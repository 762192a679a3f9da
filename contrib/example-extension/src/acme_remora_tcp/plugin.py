"""
What the entry point leads to: the description of the transport, and nothing heavy.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING

from remora import ConnectionConfig, TransportSpec, hookimpl
from remora.values import Count, dataclass

if TYPE_CHECKING:
    from remora.protocols import Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """
    What can be configured.

    Attributes:
        connection: How instances are connected.
        max_message_size: The largest request or reply, in bytes.
    """

    connection: ConnectionConfig = field(default_factory=ConnectionConfig)
    max_message_size: Count = 4 * 1024 * 1024


def build(options: Options) -> Transport:
    """
    The transport for one plugin.
    """
    from acme_remora_tcp._transport import TcpTransport

    return TcpTransport(options)


@hookimpl
def remora_register_transports() -> list[TransportSpec[Options]]:
    """
    The transport `tcp`.
    """
    return [TransportSpec(name="tcp", schemes=("tcp",), options=Options, build=build, native_deadline=True)]
