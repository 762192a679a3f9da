"""
The contexts of both sides, which look at their files at every handshake.
"""

from __future__ import annotations

import ssl
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from remora.errors import ConfigError
from remora.tls._server_side import ServerSide
from remora.tls._watched import Watched

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remora.tls._files import CertificateFiles


def client_context(files: CertificateFiles, *, verify: bool = True, server_name: str = "") -> ssl.SSLContext:
    """
    How a server's certificate is checked, and which one of ours is shown.

    Args:
        files: The own certificate and key, and the authorities to trust instead of the system's.
        verify: Whether the server's certificate is checked at all.
        server_name: The name that it must carry, when it is not the host's.

    Raises:
        ConfigError: A file cannot be used, and never could.
    """
    context = _WatchingContext(_client_side(files, verify), server_name=server_name)
    context.set_alpn_protocols([])
    return context


def server_context(files: CertificateFiles, *, alpn: Sequence[str] = ()) -> ssl.SSLContext:
    """
    Which certificate is shown to clients; with a `ca_file`, they must show one too.

    Raises:
        ConfigError: There is no certificate, or a file cannot be used.
    """
    if not (files.cert_file and files.key_file):
        raise ConfigError("serving with TLS needs cert_file and key_file")

    def load() -> ssl.SSLContext:
        context = _context(ssl.PROTOCOL_TLS_SERVER)
        files.load_into(context)
        if files.ca_file:
            context.verify_mode = ssl.CERT_REQUIRED
        if alpn:
            context.set_alpn_protocols(list(alpn))
        context.sslobject_class = ServerSide
        return context

    return _WatchingContext(Watched(files.paths, load))


@lru_cache(maxsize=64)
def _client_side(files: CertificateFiles, verify: bool) -> Watched[ssl.SSLContext]:
    """
    One for all that use these files, so that what is opened while they are being replaced begins with the last good
    ones.
    """

    def load() -> ssl.SSLContext:
        context = _context(ssl.PROTOCOL_TLS_CLIENT)
        if not verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif not files.ca_file:
            context.load_default_certs(ssl.Purpose.SERVER_AUTH)
        files.load_into(context)
        return context

    return Watched(files.paths, load)


def _context(side: ssl._SSLMethod) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # Python leaves it to OpenSSL: version 3 grants a client none, 1.1 as many as it likes, and both do so to a server.
    context.options |= ssl.OP_NO_RENEGOTIATION
    return context


class _WatchingContext(ssl.SSLContext):
    """
    Stands for the context of the moment. Event loops ask a context only to wrap a pair of buffers.
    """

    _watched: Watched[ssl.SSLContext]
    _server_name: str
    _alpn: list[str] | None

    def __new__(cls, watched: Watched[ssl.SSLContext], *, server_name: str = "") -> _WatchingContext:
        context = super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)  # its own side does not matter
        context._watched = watched
        context._server_name = server_name
        context._alpn = None
        return context

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        context = self._watched.current()
        if self._alpn is not None:
            context.set_alpn_protocols(self._alpn)
        hostname = self._server_name or server_hostname
        wrapped = context.wrap_bio(incoming, outgoing, server_side, hostname, session)
        if isinstance(wrapped, ServerSide):
            wrapped.incoming = incoming
        return wrapped

    def set_alpn_protocols(self, alpn_protocols: Any) -> None:
        self._alpn = list(alpn_protocols)
