"""
TLS contexts from options.

What lives here: options to contexts. What must not: what TLS is (see `remora.tls`), connections.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remora import tls

if TYPE_CHECKING:
    import ssl

    from remora_http.plugin import Options


def client_context(options: Options) -> ssl.SSLContext:
    """
    A context that checks the server's certificate, and shows ours if there is one.

    Raises:
        ConfigError: A file cannot be used.
    """
    return tls.client_context(_files(options), verify=options.verify, server_name=options.server_name)


def server_context(options: Options) -> ssl.SSLContext:
    """
    A context that shows our certificate to clients, and requires one of theirs if authorities are configured.

    Raises:
        ConfigError: There is no certificate, or a file cannot be used.
    """
    return tls.server_context(_files(options), alpn=("http/1.1",))


def _files(options: Options) -> tls.CertificateFiles:
    return tls.CertificateFiles(cert_file=options.cert_file, key_file=options.key_file, ca_file=options.ca_file)
