"""
The entry point `http`: the description of the transport, without heavy imports.
"""

from __future__ import annotations

from dataclasses import field
from typing import TYPE_CHECKING, Literal

from remora.config import ConnectionConfig, HealthCheckConfig
from remora.hookspecs import hookimpl
from remora.specs import TransportSpec
from remora.values import Count, Duration, Number, dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remora.protocols import Transport
    from remora.types import Endpoint

__all__ = ["Options", "build", "check", "remora_register_transports"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """
    The options of HTTP.

    Attributes:
        connection: How instances are connected.
        engine: What carries the requests. `direct` is the fastest; `httpx` supports proxies and HTTP/2; `auto` is
            `direct` unless one of these is needed.
        http2: Whether calls go over HTTP/2: to https where the server offers it, to http in any case, without asking
            first. Needs `pip install "remora-http[http2]"`. For servers that speak nothing else: many calls share a
            connection, but each costs several times as much as over HTTP/1.1.
        max_message_size: Bytes of one request or reply, after decompression.
        verify: Whether the server's certificate must be valid for the host that was asked for.
        ca_file: Certificates to trust instead of the system's. When serving: the clients' authorities;
            with it, a client must show a certificate.
        cert_file: The certificate that this side shows, with its chain. Needed to serve https.
        key_file: The key of that certificate.
        idle_timeout: When serving: for how long an idle connection is kept. It is more than clients keep theirs, so
            that theirs end first.
        slow_timeout: When serving: in which time a request must have arrived, and a response must be taken.
        origins: When serving: the web pages that may call, such as `https://example.com`, or `*`. A browser lets every
            page send requests to what listens on its machine, so calls of other pages are refused.
        peer_uid: The user whose process may listen at a Unix socket; by default this process's own, or root.
        server_name: The name that the server's certificate must carry, when it is not the endpoint's host.
        trust_env: Whether the proxy variables of the environment are obeyed.
        follow_redirects: Whether a redirect that keeps the request (307, 308; for the health page any) is followed
            inside the endpoint's origin.
        max_redirects: How many redirects one call may meet.
        redirect_origins: Other origins that a redirect may lead to, such as `https://example.com`. A call with a header
            that could be a credential, or with a client certificate, is never sent there.
        health_check: Its `endpoint` is a path or an address to GET for health, where any 2xx answer means healthy;
            without one the standard health service is asked.
    """

    connection: ConnectionConfig = field(default_factory=ConnectionConfig)
    engine: Literal["auto", "direct", "httpx"] = "auto"
    http2: bool = False
    max_message_size: Count = 16 * 1024 * 1024
    verify: bool = True
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    idle_timeout: Duration = 75.0
    slow_timeout: Duration = 60.0
    origins: tuple[str, ...] = ()
    peer_uid: Number | None = None
    server_name: str = ""
    trust_env: bool = False
    follow_redirects: bool = False
    max_redirects: Count = 5
    redirect_origins: tuple[str, ...] = ()
    health_check: HealthCheckConfig = field(default_factory=HealthCheckConfig)


def build(options: Options) -> Transport:
    """
    The transport for one plugin.
    """
    from remora_http._transport import HttpTransport

    return HttpTransport(options)


def check(endpoint: Endpoint) -> None:
    """
    Refuse an endpoint that can never be called.

    Raises:
        ConfigError: It is one.
    """
    from remora_http._address import parse_address

    parse_address(endpoint)


@hookimpl
def remora_register_transports() -> Iterable[TransportSpec[Options]]:
    """
    The transport `http`.
    """
    return [
        TransportSpec(
            name="http",
            schemes=("http", "https", "http+unix"),
            options=Options,
            build=build,
            native_deadline=True,
            secure_schemes=("https",),
            check=check,
        )
    ]
