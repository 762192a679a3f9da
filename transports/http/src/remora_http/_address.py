"""
Addresses: the parts of an `http:`, `https:` or `http+unix:` endpoint, and the path under which a call is posted.

What lives here: text in, text out. What must not: sockets, name resolution.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote, urlsplit

from remora.errors import ConfigError, InvalidRequest
from remora.types import Endpoint
from remora_http._remembered import remembered

UNIX = "http+unix"
_PORTS = {"http": 80, "https": 443}
_STEPS = frozenset({".", ".."})
_UNFIT = re.compile(r"[\x00-\x20\x7f\"#/<>?@\\^`{|}]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """
    The parts of an endpoint's address.

    Attributes:
        secure: Whether TLS is used.
        host: A name or an IP address, without brackets.
        port: The TCP port; 0 asks for a free one.
        path: The prefix of every call's path; empty or with a leading slash, never with a trailing one.
        given_path: The path as it was written, for calls that name neither service nor method.
        query: What follows the question mark.
        socket: The path of a Unix socket to connect to instead of host and port; empty for none.
        peer_uid: The user who may listen at that socket; None for this process's own, or root.
    """

    secure: bool
    host: str
    port: int
    path: str
    given_path: str
    query: str
    socket: str = ""
    peer_uid: int | None = None

    @property
    def place(self) -> str:
        """
        The address for messages.
        """
        return self.socket or self.authority

    @property
    def authority(self) -> str:
        """
        Host and port as in a URL, without the default port.
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def scheme(self) -> str:
        """
        The scheme of the URL.
        """
        return "https" if self.secure else "http"

    @property
    def origin(self) -> str:
        """
        The URL without a path.
        """
        return f"{self.scheme}://{self.authority}"

    def target(self, service: str, method: str) -> str:
        """
        Path and query of the request that calls a method.

        Raises:
            InvalidRequest: A name would lead to a path outside of the endpoint's.
        """
        names = [_segment(name) for name in (service, method) if name]
        path = "/".join([self.path, *names]) if names else self.given_path
        return f"{path or '/'}?{self.query}" if self.query else path or "/"


def parse_address(endpoint: Endpoint) -> Address:
    """
    The parts of an endpoint to call.

    Raises:
        ConfigError: It is not the address of an HTTP server.
    """
    if endpoint.scheme == UNIX:
        return _parse_unix(endpoint)
    address = _parse(endpoint)
    if not address.host:
        raise ConfigError(f"the address {endpoint.url!r} names no host")
    if address.port == 0:
        raise ConfigError(f"the address {endpoint.url!r} has port 0, which nobody can call")
    return address


def parse_local_address(endpoint: Endpoint) -> Address:
    """
    The parts of an endpoint to serve; `SCHEME:` alone is a free port of the loopback interface.

    Raises:
        ConfigError: It is not an address to listen on.
    """
    if endpoint.scheme == UNIX:
        raise ConfigError(f"{UNIX} can be called, but not served: give any ASGI server `remora_http.asgi` to serve")
    if not endpoint.address:
        return Address(secure=endpoint.scheme == "https", host="127.0.0.1", port=0, path="", given_path="", query="")
    address = _parse(endpoint)
    if not address.host:
        raise ConfigError(f"the address {endpoint.url!r} names no host")
    return address


@remembered
def split_path(path: str, root: str) -> tuple[str, str]:
    """
    The service and the method that a request's path names, empty when it does not name them.

    Args:
        path: The decoded path of the request.
        root: Where the application is mounted.
    """
    root = root.rstrip("/")
    inside = path.removeprefix(root) if path == root or path.startswith(f"{root}/") else path
    names = [name for name in inside.split("/") if name][-2:]
    return (names[0], names[1]) if len(names) == 2 else ("", "".join(names))


def _parse(endpoint: Endpoint) -> Address:
    try:
        parts = urlsplit(endpoint.url)
        host, port = parts.hostname or "", parts.port
    except ValueError as exc:
        if "@" in endpoint.url:  # the reason may quote a part of a password
            raise ConfigError(f"the address {endpoint.url!r} is malformed") from None
        raise ConfigError(f"the address {endpoint.url!r} is malformed: {exc}") from exc
    if parts.username is not None:
        raise ConfigError(f"the address of {host!r} holds credentials, which belong in the table `auth`")
    return Address(
        secure=parts.scheme == "https",
        host=_decode_host(host),
        port=_PORTS[parts.scheme] if port is None else port,
        path=_escape(parts.path.rstrip("/")),
        given_path=_escape(parts.path),
        query=quote(parts.query, safe="/?:@!$&'()*+,;=%-._~"),
    )


def _parse_unix(endpoint: Endpoint) -> Address:
    """
    The parts of `http+unix:///run/app.sock:/path?query`; everything from the second colon on is optional.
    """
    if endpoint.address != endpoint.url.partition(":")[2] and not endpoint.address.startswith("/"):
        raise ConfigError(
            f"{endpoint.url}: the socket stands after three slashes ({UNIX}:///run/x.sock), or after none"
        )
    socket, colon, rest = endpoint.address.partition(":/")
    if not socket or "\0" in socket or socket.endswith("/"):
        raise ConfigError(f"the address {endpoint.url!r} names no socket")
    inside = _parse(Endpoint(f"http://localhost{colon[1:]}{rest}"))
    return replace(inside, socket=os.path.abspath(socket))


def _decode_host(host: str) -> str:
    name = unquote(host)
    try:
        found = name.encode("idna").decode("ascii")
    except UnicodeError as exc:
        raise ConfigError(f"{name!r} is not the name of a host") from exc
    if _UNFIT.search(found) or found.count(":") != host.count(":"):
        raise ConfigError(f"{name!r} is not the name of a host")
    return found


def _escape(path: str) -> str:
    return quote(path, safe="/:@!$&'()*+,;=%-._~")


def _segment(name: str) -> str:
    if name in _STEPS or "/" in name:
        raise InvalidRequest(f"{name!r} is not the name of a service or a method")
    return quote(name, safe="")
