"""
The endpoints of gRPC as host and port.

What lives here: `grpc://HOST:PORT` and back. What must not: sockets, names of hosts looked up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from remora.errors import ConfigError

if TYPE_CHECKING:
    from remora.types import Endpoint

_LOCAL = "127.0.0.1"
_TLS_PORT = 443


@dataclass(frozen=True, slots=True)
class Address:
    """
    A host, without brackets, and a port.
    """

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def remote_address(endpoint: Endpoint) -> Address:
    """
    Where a plugin is called.

    Raises:
        ConfigError: The endpoint has no host or no port, or something beside them.
    """
    parts = _split(endpoint)
    port = _TLS_PORT if parts.port is None and is_secure(endpoint) else parts.port
    if not parts.hostname or not port:
        raise ConfigError(f"endpoint {endpoint.url!r} needs the form {endpoint.scheme}://HOST:PORT")
    return Address(parts.hostname, port)


def local_address(endpoint: Endpoint) -> Address:
    """
    Where a plugin is served; port 0 stands for any free one.

    Raises:
        ConfigError: The endpoint has no host or no port, or something beside them.
    """
    if not endpoint.address:
        return Address(_LOCAL, 0)
    parts = _split(endpoint)
    if not parts.hostname or parts.port is None:
        raise ConfigError(f"endpoint {endpoint.url!r} needs the form {endpoint.scheme}://HOST:PORT")
    return Address(parts.hostname, parts.port)


def is_secure(endpoint: Endpoint) -> bool:
    """
    Whether the endpoint asks for TLS.
    """
    return endpoint.scheme == "grpcs"


def with_address(endpoint: Endpoint, address: Address) -> Endpoint:
    """
    The endpoint with the actual address.
    """
    return replace(endpoint, url=f"{endpoint.scheme}://{address}")


def _split(endpoint: Endpoint) -> SplitResult:
    try:
        parts = urlsplit(f"//{endpoint.address}")
        has_rest = parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
        _ = parts.port
    except ValueError as error:
        if "@" in endpoint.url:  # the reason may quote a part of a password
            raise ConfigError(f"endpoint {endpoint.url!r} is malformed") from None
        raise ConfigError(f"endpoint {endpoint.url!r}: {error}") from error
    if has_rest:
        raise ConfigError(
            f"endpoint {endpoint.url!r} has more than a host and a port, which gRPC cannot use:"
            f" write {endpoint.scheme}://HOST:PORT"
        )
    return parts
