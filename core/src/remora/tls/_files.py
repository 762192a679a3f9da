"""
The files of certificates and keys.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from remora.config import read_credentials
from remora.errors import ConfigError


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


def _check_readable(key: str, path: str) -> None:
    try:
        if path:
            read_credentials(path)
    except OSError as error:
        raise ConfigError(f"{key} {path!r} cannot be read: {error.strerror}") from error


def _no_password() -> str:
    raise ValueError("the key is encrypted")  # ssl would ask for the password on the terminal
