"""
The files of certificates and keys.
"""

from __future__ import annotations

import ssl
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from remora.config import read_credentials
from remora.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

_BEGUN = tuple(b"-----BEGIN"[:length] for length in range(6, 10))
"""What is left of the beginning of a block when a file ends within it; five dashes may be the end of one."""

_REASONS = {
    "KEY_VALUES_MISMATCH": "the key does not belong to the certificate",
    "NO_CERTIFICATE_OR_CRL_FOUND": "there is no certificate in it",
    "PEM lib": "what is in there cannot be read as PEM",
}
"""What OpenSSL says, and what it means."""


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
            if path:
                _check_whole(key, path)
        if self.ca_file:
            with _explained(f"ca_file {self.ca_file!r}"):
                context.load_verify_locations(cafile=self.ca_file)
        if self.cert_file:
            pair = f"cert_file {self.cert_file!r}" + (f" with key_file {self.key_file!r}" if self.key_file else "")
            with _explained(pair):
                context.load_cert_chain(self.cert_file, self.key_file or None, password=_no_password)


def _check_whole(key: str, path: str) -> None:
    """
    Refuse a file that cannot be read, or ends within one of its blocks, which OpenSSL would leave out silently.
    """
    try:
        content = read_credentials(path)
    except OSError as error:
        raise ConfigError(f"{key} {path!r} cannot be read: {error.strerror}") from error
    if content.count(b"-----BEGIN") != content.count(b"-----END") or content.rstrip().endswith(_BEGUN):
        raise ConfigError(f"{key} {path!r} is cut off: it begins a block of PEM that does not end")


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigError(f"{what} cannot be used for TLS: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    found = getattr(error, "reason", None) or str(error)
    return next((words for name, words in _REASONS.items() if name in found), found)


def _no_password() -> str:
    raise ValueError("the key is encrypted")  # ssl would ask for the password on the terminal
