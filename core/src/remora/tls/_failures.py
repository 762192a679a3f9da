"""
What the errors of `ssl` mean.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from remora.errors import CertificateRejected, ConfigError, WrongProtocol

if TYPE_CHECKING:
    from remora.errors import RemoraError

NO_FAILURES = (ssl.SSLWantReadError, ssl.SSLWantWriteError, ssl.SSLZeroReturnError, ssl.SSLEOFError)
"""What `ssl` raises in the course of things: more bytes are needed, or there are none left."""

_VERDICTS = {
    9: "not-yet-valid",
    10: "expired",
    18: "unknown-authority",
    19: "unknown-authority",
    20: "unknown-authority",
    21: "unknown-authority",
    62: "wrong-host",
    64: "wrong-host",
}
"""Reasons by OpenSSL's numbers of verification errors."""

_ALERTS = {
    "CERTIFICATE_REQUIRED": ("client-certificate-missing", "it asks for a certificate of the client"),
    "UNKNOWN_CA": ("client-certificate-refused", "it does not know the authority of the client's certificate"),
    "CERTIFICATE_EXPIRED": ("client-certificate-refused", "the client's certificate has expired"),
    "CERTIFICATE_REVOKED": ("client-certificate-refused", "the client's certificate is revoked"),
    "BAD_CERTIFICATE": ("client-certificate-refused", "it does not accept the client's certificate"),
    "CERTIFICATE_UNKNOWN": ("client-certificate-refused", "it does not accept the client's certificate"),
}
"""Reasons and words by the ends of the names of alerts."""


def tls_failure(error: BaseException) -> RemoraError | None:
    """
    The error to raise for one that TLS has caused, near or far; None when TLS has not.
    """
    cause = _ssl_error(error)
    if cause is None:
        return None
    if isinstance(cause, ssl.SSLCertVerificationError):
        message = f"the server's certificate is not accepted: {cause.verify_message}"
        return CertificateRejected(message, reason=_VERDICTS.get(cause.verify_code, "other"))
    name = (cause.reason or "").rpartition("ALERT_")[2]
    if name in _ALERTS:
        reason, words = _ALERTS[name]
        return CertificateRejected(f"the server refuses the TLS connection: {words}", reason=reason)
    if cause.reason and "ALERT" in cause.reason:
        return ConfigError(f"the server refuses the TLS connection: {cause.reason}")
    return WrongProtocol(f"the server does not speak TLS as expected: {cause.reason or cause}")


def _ssl_error(error: BaseException | None) -> ssl.SSLError | None:
    # Some libraries raise errors `from None`, so what was under way when they were raised counts too.
    seen = set[int]()  # an error that was raised from one that it had caused leads round in a circle
    while error is not None and id(error) not in seen:
        if isinstance(error, ssl.SSLError) and not isinstance(error, NO_FAILURES):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None
