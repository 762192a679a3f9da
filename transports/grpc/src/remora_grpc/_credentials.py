"""
The certificates and keys of grpcs, read from their files, and read again when these change.

What lives here: files to credentials. What must not: channels and servers.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple, cast

import grpc

from remora.config import read_credentials
from remora.errors import ConfigError
from remora.tls import CertificateFiles, Watched

if TYPE_CHECKING:
    from collections.abc import Callable

    from remora_grpc.plugin import GrpcOptions


class Pems(NamedTuple):
    """
    What is in the files.
    """

    roots: bytes | None
    chain: bytes | None
    key: bytes | None


def files_of(options: GrpcOptions) -> CertificateFiles:
    """
    The files that the options name.

    Raises:
        ConfigError: One of certificate and key is missing.
    """
    if bool(options.cert_file) != bool(options.key_file):
        raise ConfigError("cert_file and key_file are needed together")
    return CertificateFiles(cert_file=options.cert_file, key_file=options.key_file, ca_file=options.ca_file)


def watch(options: GrpcOptions) -> Watched[Pems]:
    """
    The content of the files, as long as they can be used.

    Raises:
        ConfigError: A file cannot be used and never could, or one of certificate and key is missing.
    """
    return _watched(files_of(options))


@lru_cache(maxsize=64)
def _watched(files: CertificateFiles) -> Watched[Pems]:
    """
    One for all that use these files, so that what is opened while they are being replaced begins with the last good
    ones.
    """

    def load() -> Pems:
        files.check()
        return Pems(_content(files.ca_file), _content(files.cert_file), _content(files.key_file))

    return Watched(files.paths, load)


class ChannelCredentials:
    """
    What one caller trusts, and what it shows, with each of its channels.
    """

    def __init__(self, watched: Watched[Pems]) -> None:
        self._watched = watched
        self._used = watched.current()

    def current(self) -> grpc.ChannelCredentials:
        """
        Those for a new channel.
        """
        self._used = used = self._watched.current()
        return grpc.ssl_channel_credentials(used.roots, used.key, used.chain)

    def are_stale(self) -> bool:
        """
        Whether a new channel would get others than the last one.
        """
        return self._watched.current() is not self._used


def server_credentials(options: GrpcOptions) -> grpc.ServerCredentials:
    """
    What a served plugin shows; with a `ca_file`, callers must show a certificate too.

    Raises:
        ConfigError: A file cannot be used, or certificate and key are missing.
    """
    if not (options.cert_file and options.key_file):
        raise ConfigError("serving grpcs needs a cert_file and a key_file")
    watched = watch(options)
    used = watched.current()

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        nonlocal used
        before, used = used, watched.current()
        return None if used == before else _configuration(used)

    # None means that nothing has changed, which the annotations of grpcio's stubs leave out.
    fetcher = cast("Callable[[], grpc.ServerCertificateConfiguration]", fetch)
    return grpc.dynamic_ssl_server_credentials(_configuration(used), fetcher, bool(options.ca_file))


def _configuration(pems: Pems) -> grpc.ServerCertificateConfiguration:
    assert pems.key is not None
    assert pems.chain is not None
    return grpc.ssl_server_certificate_configuration([(pems.key, pems.chain)], pems.roots)


def _content(path: str) -> bytes | None:
    try:
        return read_credentials(path) if path else None
    except OSError as error:  # it was there a moment ago
        raise ConfigError(f"{path!r} cannot be read: {error.strerror}") from error
