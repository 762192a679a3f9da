"""
The transport: how channels and listeners are opened.

What lives here: opening and closing. What must not: calls (see `_channel` and `_asgi`).
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from remora_http._address import parse_address
from remora_http._client._channel import open_channel
from remora_http._client._engine import check_engine
from remora_http._client._redirect import parse_origins
from remora_http._server._server import serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from remora.protocols import Channel, Dispatch, Listener
    from remora.types import Endpoint
    from remora_http._client._engine import Make
    from remora_http.plugin import Options


class HttpTransport:
    """
    The Connect unary protocol over HTTP, with a pool of connections per channel.
    """

    def __init__(self, options: Options, make: Make | None = None) -> None:
        """
        Args:
            options: The options.
            make: Makes the httpx transport of a channel, if it is the application's own.

        Raises:
            ConfigError: An origin in the options is invalid, or what they ask for is not possible together.
            NotInstalled: What HTTP/2 needs is not installed.
        """
        self._options = options
        self._make = make
        parse_origins(options)
        check_engine(options)

    @asynccontextmanager
    async def open(self, endpoint: Endpoint, /) -> AsyncIterator[Channel]:
        """
        A channel to the server at an endpoint, once something there has answered in HTTP.
        """
        address = replace(parse_address(endpoint), peer_uid=self._options.peer_uid)
        async with open_channel(address, self._options, self._make) as channel:
            yield channel

    def listen(self, endpoint: Endpoint, dispatch: Dispatch, /) -> AbstractAsyncContextManager[Listener]:
        """
        Serve a plugin on a socket of this machine.
        """
        return serve(endpoint, dispatch, self._options)
