"""
TLS for every transport: what each side trusts and shows, read again when its files change, and what failures mean.

What lives here: contexts, files and errors of `ssl`. What must not: sockets, protocols, event loops.

A context made here looks at its files at every handshake. A pair of certificate and key that is half-written or does
not match is never used: what was in use before stays, with one warning.
"""

from __future__ import annotations

import logging
import os
import ssl
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from remora.config import read_credentials
from remora.errors import CertificateRejected, ConfigError, WrongProtocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remora.errors import RemoraError

__all__ = [
    "CertificateFiles",
    "Watched",
    "client_context",
    "identity_of",
    "peer_identity",
    "server_context",
    "tls_failure",
]

_log = logging.getLogger(__name__)

T = TypeVar("T")

peer_identity: ContextVar[str] = ContextVar("remora_peer_identity", default="")
"""Who the client of the connection is that is being served, by its certificate; empty when it has shown none."""

# What `ssl` raises in the course of things: more bytes are needed, or there are none left.
_NO_FAILURES = (ssl.SSLWantReadError, ssl.SSLWantWriteError, ssl.SSLZeroReturnError, ssl.SSLEOFError)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFiles:
    """
    The files of one side, in PEM.

    Attributes:
        cert_file: The certificate to show, with its chain.
        key_file: The key of that certificate; empty when it stands in the same file.
        ca_file: The authorities that the other side's certificate must lead to.
    """

    cert_file: str = ""
    key_file: str = ""
    ca_file: str = ""

    @property
    def paths(self) -> list[str]:
        """
        Those that there are.
        """
        return [path for path in (self.ca_file, self.cert_file, self.key_file) if path]

    def check(self) -> None:
        """
        Make sure that the files can be used.

        Raises:
            ConfigError: A file cannot be read, is none of its kind, or certificate and key do not belong together.
        """
        self.load_into(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    def load_into(self, context: ssl.SSLContext) -> None:
        """
        Give the files to a context.

        Raises:
            ConfigError: As `check`.
        """
        for key, path in (("ca_file", self.ca_file), ("cert_file", self.cert_file), ("key_file", self.key_file)):
            _check_readable(key, path)
        try:
            if self.ca_file:
                context.load_verify_locations(cafile=self.ca_file)
            if self.cert_file:
                context.load_cert_chain(self.cert_file, self.key_file or None, password=_no_password)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            reason = getattr(error, "reason", None) or error
            raise ConfigError(f"the files {', '.join(self.paths)} cannot be used for TLS: {reason}") from error


class Watched(Generic[T]):
    """
    Something made of files, and made again when they change; the last good one while they cannot be used.
    """

    def __init__(self, paths: Sequence[str], load: Callable[[], T]) -> None:
        """
        Raises:
            ConfigError: As `load` does.
        """
        self._paths = tuple(paths)
        self._load = load
        self._marks = self._look()
        self._value = load()

    def current(self) -> T:
        """
        What the files say now.
        """
        marks = self._look()
        if marks == self._marks:
            return self._value
        try:
            value = self._load()
        except ConfigError as error:
            self._marks = marks
            _log.warning("%s; what was in use before stays", error)
        else:
            if marks == self._look():  # else somebody is at it this very moment
                self._marks, self._value = marks, value
        return self._value

    def has_changed(self) -> bool:
        """
        Whether the files are others than when they were last looked at.
        """
        return self._look() != self._marks

    def _look(self) -> list[tuple[int, int, int] | None]:
        return [_mark(path) for path in self._paths]


def client_context(files: CertificateFiles, *, verify: bool = True, server_name: str = "") -> ssl.SSLContext:
    """
    How a server's certificate is checked, and which one of ours is shown.

    Args:
        files: The own certificate and key, and the authorities to trust instead of the system's.
        verify: Whether the server's certificate is checked at all.
        server_name: The name that it must carry, when it is not the host's.

    Raises:
        ConfigError: A file cannot be used.
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

    return _WatchingContext(Watched(files.paths, load), server_name=server_name)


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
        context.sslobject_class = _ServerSide
        return context

    return _WatchingContext(Watched(files.paths, load))


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
        if isinstance(wrapped, _ServerSide):
            wrapped.incoming = incoming
        return wrapped

    def set_alpn_protocols(self, alpn_protocols: Any) -> None:
        self._alpn = list(alpn_protocols)


class _ServerSide(ssl.SSLObject):
    """
    The server's end of a connection: it notes who the client is, and lets a refused client know why.
    """

    incoming: ssl.MemoryBIO | None = None
    _refusal: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        try:
            if self._refusal is None:
                super().do_handshake()
        except _NO_FAILURES:
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


def identity_of(certificate: Any) -> str:
    """
    The name in a verified certificate, as `SSLObject.getpeercert` gives it: the first alternative one, or the common.
    """
    certificate = certificate or {}
    names = [value for _, value in certificate.get("subjectAltName", ())]
    names += [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    return str(names[0]) if names else ""


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
        if isinstance(error, ssl.SSLError) and not isinstance(error, _NO_FAILURES):
            return error
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return None


def _check_readable(key: str, path: str) -> None:
    try:
        if path:
            read_credentials(path)
    except OSError as error:
        raise ConfigError(f"{key} {path!r} cannot be read: {error.strerror}") from error


def _no_password() -> str:
    raise ValueError("the key is encrypted")  # ssl would ask for the password on the terminal


def _mark(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
