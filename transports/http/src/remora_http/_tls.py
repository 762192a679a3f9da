"""
TLS as the options say.

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
    How a server's certificate is checked, and which one of ours is shown.

    Raises:
        ConfigError: A file cannot be used.
    """
    return tls.client_context(_files(options), verify=options.verify, server_name=options.server_name)


def server_context(options: Options) -> ssl.SSLContext:
    """
    Which certificate is shown to clients, and whether they must show one.

    Raises:
        ConfigError: There is no certificate, or a file cannot be used.
    """
    return tls.server_context(_files(options), alpn=("http/1.1",))


def _files(options: Options) -> tls.CertificateFiles:
    return tls.CertificateFiles(cert_file=options.cert_file, key_file=options.key_file, ca_file=options.ca_file)
