"""
The certificates and keys of grpcs, read from their files.

What lives here: files to credentials. What must not: channels and servers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import grpc

from remora.errors import ConfigError

if TYPE_CHECKING:
    from remora_grpc.plugin import GrpcOptions


def channel_credentials(options: GrpcOptions) -> grpc.ChannelCredentials:
    """
    What a caller trusts, and what it shows.

    Raises:
        ConfigError: A file cannot be read, or one of certificate and key is missing.
    """
    roots, chain, key = _read(options)
    return grpc.ssl_channel_credentials(roots, key, chain)


def server_credentials(options: GrpcOptions) -> grpc.ServerCredentials:
    """
    What a served plugin shows; with a `ca_file`, callers must show a certificate too.

    Raises:
        ConfigError: A file cannot be read, or certificate and key are missing.
    """
    roots, chain, key = _read(options)
    if chain is None or key is None:
        raise ConfigError("serving grpcs needs a cert_file and a key_file")
    return grpc.ssl_server_credentials([(key, chain)], roots, require_client_auth=roots is not None)


def _read(options: GrpcOptions) -> tuple[bytes | None, bytes | None, bytes | None]:
    if bool(options.cert_file) != bool(options.key_file):
        raise ConfigError("cert_file and key_file are needed together")
    return (
        _content("ca_file", options.ca_file),
        _content("cert_file", options.cert_file),
        _content("key_file", options.key_file),
    )


def _content(name: str, path: str) -> bytes | None:
    if not path:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{name} {path!r} cannot be read: {error.strerror}") from error
