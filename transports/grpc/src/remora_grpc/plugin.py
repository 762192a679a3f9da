"""
The extension's entry: options, a late `build`, and the hook. grpcio is imported when a transport is built.
"""

from __future__ import annotations

import os
from dataclasses import field
from typing import TYPE_CHECKING

from remora.config import ConnectionConfig
from remora.hookspecs import hookimpl
from remora.specs import TransportSpec
from remora.values import Count, dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remora.protocols import Transport
    from remora.types import Endpoint

__all__ = ["GrpcOptions", "build", "check", "remora_register_transports"]


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcOptions:
    """
    How plugins are reached, and served, over gRPC.

    Attributes:
        connection: The plugin's connection settings; gRPC uses `connection_timeout`.
        max_message_size: The largest request or reply, in bytes.
        max_concurrent_streams: When serving: the most calls on one connection at once; callers wait with further ones,
            or open another connection.
        ca_file: grpcs: a PEM file with the authorities to trust. Empty when calling: the public authorities that grpcio
            ships. Empty when serving: callers need no certificate.
        cert_file: grpcs: a PEM file with the certificate to show, and its chain.
        key_file: grpcs: a PEM file with the key of that certificate.
        server_name: grpcs: the name that the plugin's certificate must be for, when that is not the endpoint's host.
    """

    connection: ConnectionConfig = field(default_factory=ConnectionConfig)
    max_message_size: Count = 4 * 1024 * 1024
    max_concurrent_streams: Count = 256
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""


def build(options: GrpcOptions) -> Transport:
    """
    The transport for one plugin.
    """
    # grpcio reads this once, when it is first loaded; its C library would write to the program's stderr otherwise.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    from remora_grpc._transport import GrpcTransport

    return GrpcTransport(options)


def check(endpoint: Endpoint) -> None:
    """
    Refuse an endpoint that can never be called.

    Raises:
        ConfigError: It is one.
    """
    from remora_grpc._address import remote_address

    remote_address(endpoint)


@hookimpl
def remora_register_transports() -> Iterable[TransportSpec[GrpcOptions]]:
    """
    Add the transport `grpc`.
    """
    return [
        TransportSpec(
            name="grpc",
            schemes=("grpc", "grpcs"),
            options=GrpcOptions,
            build=build,
            native_deadline=True,
            secure_schemes=("grpcs",),
            check=check,
        )
    ]
