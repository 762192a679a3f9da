"""
Who a client is, by its certificate.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

peer_identity: ContextVar[str] = ContextVar("remora_peer_identity", default="")
"""Who the client of the connection is that is being served, by its certificate; empty when it has shown none."""


def identity_of(certificate: Any) -> str:
    """
    The name in a verified certificate, as `SSLObject.getpeercert` gives it: the first alternative one, or the common.
    """
    certificate = certificate or {}
    names = [value for _, value in certificate.get("subjectAltName", ())]
    names += [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    return str(names[0]) if names else ""
