"""
Headers that wires set by themselves, and that therefore belong to nobody else on any wire.

What lives here: their names. What must not: what any header means.
"""

from __future__ import annotations

_NAMES = frozenset(
    {
        "accept-encoding",
        "connect-protocol-version",
        "connect-timeout-ms",
        "connection",
        "expect",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "remora-content-type",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-request-id",
    }
)
_KINDS = ("content-", "grpc-")


def is_reserved(name: str) -> bool:
    """
    Whether a header, by its name in lower case, belongs to a wire, and not to a plugin and its caller.
    """
    return name in _NAMES or name.startswith(_KINDS)
