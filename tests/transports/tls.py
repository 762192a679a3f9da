"""
Certificates for the tests of TLS, with any life and any name.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme

DAY = timedelta(days=1)


class Authority:
    """
    A certificate authority, and files with what it has issued.

    Attributes:
        ca: The authority, for what needs no files.
        ca_file: The file with its own certificate.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.ca = trustme.CA()
        self._directory = directory
        self.ca_file = str(directory / "ca.pem")
        self.ca.cert_pem.write_to_path(self.ca_file)

    @property
    def ca_pem(self) -> bytes:
        """The authority's own certificate."""
        return self.ca.cert_pem.bytes()

    def pem(self, *, into: str) -> bytes:
        """A certificate for this machine, and nothing that belongs to its key."""
        return self.contents("127.0.0.1", into=into)["cert_file"]

    def contents(self, *names: str, into: str = "new") -> dict[str, bytes]:
        """What is in the files of a certificate for these names."""
        return {kind: Path(path).read_bytes() for kind, path in self.issue(*names, into=into).items()}

    def issue(self, *names: str, days: tuple[int, int] = (-1, 30), into: str = "") -> dict[str, str]:
        """The files of a certificate for these names, which is good between these days from now."""
        now = datetime.now(UTC)
        issued = self.ca.issue_cert(*names, not_before=now + days[0] * DAY, not_after=now + days[1] * DAY)
        stem = self._directory / (into or names[0])
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        replace_file(Path(f"{stem}.pem"), chain)
        replace_file(Path(f"{stem}.key"), issued.private_key_pem.bytes())
        return {"cert_file": f"{stem}.pem", "key_file": f"{stem}.key"}


def replace_file(path: Path, content: bytes) -> None:
    """
    Put a new file into the place of an old one, as careful programs do.
    """
    path.with_suffix(".new").write_bytes(content)
    os.replace(path.with_suffix(".new"), path)


def spoil(path: Path, content: bytes | None) -> None:
    """
    Put nonsense into the place of a file, or nothing.
    """
    if content is None:
        path.unlink()
    else:
        replace_file(path, content)
