"""
The server's end of a connection: who the client is, and what a refused one is told.
"""

from __future__ import annotations

import logging
import ssl

from remora.tls._failures import NO_FAILURES
from remora.tls._identity import identity_of, peer_identity

_log = logging.getLogger(__name__)


class ServerSide(ssl.SSLObject):
    """
    The server's end of a connection: it notes who the client is, and lets a refused client know why.
    """

    incoming: ssl.MemoryBIO | None = None
    _refusal: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        try:
            if self._refusal is None:
                super().do_handshake()
        except NO_FAILURES:
            raise
        except ssl.SSLError as error:
            self._refusal = error
            _log.info("a TLS connection was refused: %s", error.reason or error)
        else:
            if self._refusal is None:
                peer_identity.set(identity_of(self.getpeercert()))
                return
        if self.incoming is None or self.incoming.eof or not _is_about_certificate(self._refusal):
            raise self._refusal
        # Event loops drop the alert with the connection. Asked for more input, they send it; the client then hangs up,
        # or the time for the handshake ends.
        self.incoming.read()
        raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "the client is refused")


def _is_about_certificate(error: ssl.SSLError) -> bool:
    is_missing = error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE"
    return is_missing or isinstance(error, ssl.SSLCertVerificationError)
