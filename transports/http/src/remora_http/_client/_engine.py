"""
Engines, which carry requests to a server, and the choice of one.

What lives here: the protocol, the choice. What must not: HTTP.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from remora.errors import ConfigError, NotInstalled

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable

    import httpx

    from remora.types import Call
    from remora_http._address import Address
    from remora_http._failure import Answer
    from remora_http.plugin import Options

    Make = Callable[[], httpx.AsyncBaseTransport]


@dataclass(frozen=True, slots=True)
class Way:
    """
    How a server is reached.

    Attributes:
        tls: The TLS context; None for no encryption.
        proxy: The proxy; None for none.
        make: Makes an httpx transport of the application's own, which sees to both by itself; None for the usual ones.
    """

    tls: ssl.SSLContext | None = None
    proxy: str | None = None
    make: Make | None = None


class Engine(Protocol):
    """
    Connections to one server. Each exchange ends at its deadline by itself.
    """

    async def post(self, call: Call, /, *, target: str = "") -> Answer:
        """
        Send a call, and read the whole answer.

        Args:
            call: The call.
            target: The path and query to send it to after a redirect; empty for those of the call.

        Raises:
            DeadlineExceeded: It did not arrive in time.
            Unavailable: No connection can be made.
            ConnectionLost: The connection broke before the answer was complete.
            WrongProtocol: The answer is not HTTP.
            MessageTooLarge: The answer is over the limit.
            InvalidReply: The answer cannot be decompressed.
        """
        ...

    async def get(self, target: str, /) -> Answer:
        """
        Ask for a page of the server, by its path and query.

        Raises:
            RemoraError: As `post` does.
        """
        ...


def check_engine(options: Options) -> None:
    """
    Refuse options that no engine can do.

    Raises:
        ConfigError: They name an engine that does not support HTTP/2, and ask for it.
        NotInstalled: What HTTP/2 needs is not installed.
    """
    if not options.http2:
        return
    if options.engine == "direct":
        raise ConfigError('engine = "direct" speaks no HTTP/2; "auto" uses httpx for it')
    if find_spec("h2") is None:
        raise NotInstalled('HTTP/2 cannot be spoken without h2: pip install "remora-http[http2]"')


@asynccontextmanager
async def open_engine(address: Address, options: Options, way: Way) -> AsyncIterator[Engine]:
    """
    The engine that the options name, or with "auto" the fastest that supports what they need.

    Raises:
        ConfigError: They need a proxy, and name an engine that does not support proxies.
    """
    if options.engine == "direct" and way.proxy is not None:
        raise ConfigError('engine = "direct" knows no proxies; "auto" uses httpx where there is one')
    if options.engine == "httpx" or options.http2 or way.proxy is not None or way.make is not None:
        from remora_http._client._httpx import open_httpx

        async with open_httpx(address, options, way) as engine:
            yield engine
    else:
        from remora_http._client._direct import open_direct

        async with open_direct(address, options, tls=way.tls) as direct:
            yield direct
