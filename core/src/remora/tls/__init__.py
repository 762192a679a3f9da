"""
TLS for every transport: what each side trusts and shows, read again when its files change, and what failures mean.

What lives here: contexts, files and errors of `ssl`. What must not: sockets, protocols, event loops.

A context made here looks at its files at every handshake. A pair of certificate and key that is half-written or does
not match is never used: what was in use before stays, with one warning.
"""

from typing import TYPE_CHECKING

from remora._lazy import lazily

if TYPE_CHECKING:
    from remora.tls._contexts import client_context, server_context
    from remora.tls._failures import tls_failure
    from remora.tls._files import CertificateFiles
    from remora.tls._identity import identity_of, peer_identity
    from remora.tls._watched import Watched
else:
    __getattr__, __dir__ = lazily(
        __name__,
        {
            "remora.tls._contexts": "client_context server_context",
            "remora.tls._failures": "tls_failure",
            "remora.tls._files": "CertificateFiles",
            "remora.tls._identity": "identity_of peer_identity",
            "remora.tls._watched": "Watched",
        },
    )

__all__ = [
    "CertificateFiles",
    "Watched",
    "client_context",
    "identity_of",
    "peer_identity",
    "server_context",
    "tls_failure",
]
