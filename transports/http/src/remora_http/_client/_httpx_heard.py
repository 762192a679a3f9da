"""
Connections for httpx that know whether an answer arrived after its request.

httpcore keeps what arrives behind an answer, and takes it for the answer to the next request on that connection. So do
the streams beneath it with what is still encrypted.

What lives here: connections around connections. What must not: requests (see `_httpx`).
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import httpcore

if TYPE_CHECKING:
    from collections.abc import Iterable


class HearingBackend(httpcore.AsyncNetworkBackend):
    """
    The connections of another backend, as `HearingStream`.
    """

    def __init__(self, inner: httpcore.AsyncNetworkBackend) -> None:
        self._inner = inner

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> HearingStream:
        """
        A connection to an address.
        """
        return HearingStream(await self._inner.connect_tcp(host, port, timeout, local_address, socket_options))

    async def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> HearingStream:
        """
        A connection to a Unix socket.
        """
        return HearingStream(await self._inner.connect_unix_socket(path, timeout, socket_options))

    async def sleep(self, seconds: float) -> None:
        """
        Let time pass.
        """
        await self._inner.sleep(seconds)


class HearingStream(httpcore.AsyncNetworkStream):
    """
    A connection.

    Attributes:
        has_heard: Whether anything has arrived since something was last sent.
    """

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner
        self.has_heard = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """
        The next bytes; empty at the end.
        """
        data = await self._inner.read(max_bytes, timeout)
        self.has_heard = True
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """
        Write all of it.
        """
        self.has_heard = False
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        """
        Close it.
        """
        await self._inner.aclose()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> HearingStream:
        """
        The same connection with TLS on it.
        """
        return HearingStream(await self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        """
        The information of the inner connection. One that has more to read than its socket is readable, too.
        """
        found = self._inner.get_extra_info(info)
        if info == "is_readable" and not found:
            secured: ssl.SSLObject | None = self._inner.get_extra_info("ssl_object")
            return secured is not None and _has_more(secured)
        return found


def _has_more(secured: ssl.SSLObject) -> bool:
    """
    Whether anything has arrived that was not read. If so, some of it is lost, and with it the use of the connection.
    """
    try:
        secured.read(1)
    except ssl.SSLWantReadError:
        return False
    except ssl.SSLError:
        pass
    return True
