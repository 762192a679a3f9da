"""
TLS: what each side trusts and shows, and what its failures mean.

What lives here: contexts and errors of `ssl`. What must not: connections.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from remora.errors import ConfigError, WrongProtocol

if TYPE_CHECKING:
    from remora.errors import RemoraError
    from remora_http.plugin import Options

# What `ssl` raises in the course of things: more bytes are needed, or there are none left.
_NO_FAILURES = (ssl.SSLWantReadError, ssl.SSLWantWriteError, ssl.SSLZeroReturnError, ssl.SSLEOFError)


def client_context(options: Options) -> ssl.SSLContext:
    """
    How a server's certificate is checked, and which one of ours is shown.

    Raises:
        ConfigError: A file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=options.ca_file or None)
        if not options.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if options.cert_file:
            context.load_cert_chain(options.cert_file, options.key_file or None)
    except OSError as exc:
        raise _unusable(options, exc) from exc
    return context


def server_context(options: Options) -> ssl.SSLContext:
    """
    Which certificate is shown to clients, and whether they must show one.

    Raises:
        ConfigError: There is no certificate, or a file cannot be used.
    """
    if not (options.cert_file and options.key_file):
        raise ConfigError("serving https needs the options cert_file and key_file")
    try:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=options.ca_file or None)
        context.load_cert_chain(options.cert_file, options.key_file)
    except OSError as exc:
        raise _unusable(options, exc) from exc
    if options.ca_file:
        context.verify_mode = ssl.CERT_REQUIRED
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def _unusable(options: Options, cause: OSError) -> ConfigError:
    files = [name for name in (options.ca_file, options.cert_file, options.key_file) if name]
    return ConfigError(f"the files {', '.join(files) or 'of the system'} cannot be used for TLS: {cause}")


def tls_failure(error: BaseException) -> RemoraError | None:
    """
    The error to raise for one that TLS has caused, near or far; None when TLS has not.
    """
    cause = _ssl_error(error)
    if cause is None:
        return None
    if isinstance(cause, ssl.SSLCertVerificationError):
        return ConfigError(f"the server's certificate is not accepted: {cause.verify_message}")
    if cause.reason and "ALERT" in cause.reason:
        return ConfigError(f"the server refuses the TLS connection: {cause.reason}")
    return WrongProtocol(f"the server does not speak TLS as expected: {cause.reason or cause}")


def _ssl_error(error: BaseException | None) -> ssl.SSLError | None:
    # httpcore raises some errors `from None`, so what was under way when they were raised counts too.
    while error is not None and (not isinstance(error, ssl.SSLError) or isinstance(error, _NO_FAILURES)):
        error = error.__cause__ or error.__context__
    return error
