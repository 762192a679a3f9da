"""
What programs of Go are built with, without the network.
"""

from __future__ import annotations

from pathlib import Path

GOPATH = Path("/usr/share/gocode")
"""Where Debian's packages install libraries."""
_PACKAGES = {
    "github.com/containerd/ttrpc": "golang-github-containerd-ttrpc-dev",
    "google.golang.org/protobuf": "golang-google-protobuf-dev",
}


def missing_packages() -> list[str]:
    """
    The Debian packages whose libraries are not there.
    """
    return [package for library, package in _PACKAGES.items() if not (GOPATH / "src" / library).is_dir()]
