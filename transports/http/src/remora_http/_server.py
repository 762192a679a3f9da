"""
Serving on a socket: hypercorn, which runs on every event loop that Remora runs on, kept in its place.

What lives here: sockets, and the start and the end of a server. What must not: requests (see `_asgi`).
"""

from __future__ import annotations

import errno
import logging
import socket
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

import anyio
import sniffio
from hypercorn.config import Config, Sockets

from remora.errors import ConfigError, Unavailable
from remora.io import background_tasks
from remora.tls import peer_identity
from remora_http._address import parse_local_address
from remora_http._asgi import Application
from remora_http._tls import server_context

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from remora.protocols import Dispatch
    from remora.types import Endpoint
    from remora_http._address import Address
    from remora_http.plugin import Options

_BACKLOG = 1024
_GRACE = 1.0
_HANDSHAKE = 10.0
_KEEP_ALIVE = 75.0
"""Seconds for which an idle connection is kept: more than clients keep theirs, so that theirs end first."""

_log = logging.getLogger(__name__)


class HttpListener:
    """
    A plugin that is served on a socket.
    """

    def __init__(self, endpoint: Endpoint, finished: anyio.Event) -> None:
        self._endpoint = endpoint
        self._finished = finished

    @property
    def endpoint(self) -> Endpoint:
        """
        Where the plugin can be called.
        """
        return self._endpoint

    async def wait_closed(self) -> None:
        """
        Wait until the server has ended, which it does not by itself.
        """
        await self._finished.wait()


@asynccontextmanager
async def serve(endpoint: Endpoint, dispatch: Dispatch, options: Options) -> AsyncIterator[HttpListener]:
    """
    Serve a plugin until the context is left.

    Raises:
        Unavailable: The address is taken.
        ConfigError: The address or the certificates make no sense.
    """
    address = parse_local_address(endpoint)
    tls = server_context(options) if address.secure else None
    application = Application(dispatch, max_message_size=options.max_message_size)
    with await _bind(address) as listening:
        server = _Server(application, _Settings(listening, tls, address.path))
        url = f"{replace(address, port=listening.getsockname()[1]).origin}{address.path}"
        async with background_tasks() as tasks:
            tasks.start_soon(server.run)
            try:
                yield HttpListener(replace(endpoint, url=url), server.finished)
            finally:
                await server.stop()


async def _bind(address: Address) -> socket.socket:
    try:
        family, *_, place = (await anyio.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM))[0]
        with socket.create_server(place[:2], family=family, backlog=_BACKLOG) as listening:
            return socket.socket(fileno=listening.detach())
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise Unavailable(f"the address {address.authority} is taken", sent=False) from exc
        raise ConfigError(f"cannot listen on {address.authority}: {exc}") from exc


class _Settings(Config):
    """
    The settings of hypercorn, with a socket and a TLS context that exist already.
    """

    def __init__(self, listening: socket.socket, tls: ssl.SSLContext | None, root_path: str) -> None:
        self._listening = listening
        self._tls = tls
        self.root_path = root_path
        self.backlog = _BACKLOG
        self.errorlog = logging.getLogger(f"{__name__}.hypercorn")
        self.graceful_timeout = _GRACE
        self.include_server_header = False
        self.ssl_handshake_timeout = _HANDSHAKE
        self.keep_alive_timeout = _KEEP_ALIVE

    @property
    def ssl_enabled(self) -> bool:
        return self._tls is not None

    def create_ssl_context(self) -> ssl.SSLContext | None:
        return self._tls

    def create_sockets(self) -> Sockets:
        return Sockets([self._listening], [], []) if self._tls else Sockets([], [self._listening], [])


class _Server:
    """
    One run of hypercorn.
    """

    def __init__(self, application: Application, settings: _Settings) -> None:
        self._application = application
        self._settings = settings
        self._stopping = anyio.Event()
        # hypercorn must not be cancelled from outside while it is cleaning up; `stop` ends it.
        self._scope = anyio.CancelScope(shield=True)
        self.finished = anyio.Event()

    async def run(self) -> None:
        """
        Serve until `stop` is called.
        """
        peer_identity.set("")  # whoever is being served where this server is started is not its client
        run = import_module(f"hypercorn.{sniffio.current_async_library()}").serve
        try:
            with self._scope:
                await run(self._application, self._settings, shutdown_trigger=self._stopping.wait)
        except Exception:
            # hypercorn's own errors, and those of its connections that were not done when it ended.
            _log.exception("the HTTP server has ended with an error")
        finally:
            self.finished.set()

    async def stop(self) -> None:
        """
        End all calls and close all connections, in bounded time.
        """
        with anyio.CancelScope(shield=True):
            self._application.stop()
            self._stopping.set()
            with anyio.move_on_after(2 * _GRACE):
                await self.finished.wait()
            self._scope.cancel()
