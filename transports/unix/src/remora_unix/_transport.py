"""
The transport: channels to sockets, and a listener on one.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from remora.errors import ConfigError
from remora.io import SocketPipe, TtrpcChannel, background_tasks, open_ttrpc, serve_ttrpc
from remora_unix._address import path_of, socket_of
from remora_unix._connect import connect
from remora_unix._credentials import credentials_of, trusted_users
from remora_unix._socket_file import listening_socket

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Collection

    from anyio.abc import TaskGroup

    from remora.protocols import Dispatch
    from remora.types import Endpoint
    from remora_unix.plugin import Options

_log = logging.getLogger(__name__.replace("_", ".", 1))

_MOST = 1 << 30
_PAUSE_WITHOUT_DESCRIPTORS = 0.1


class UnixTransport:
    """
    Carries calls over Unix sockets.
    """

    def __init__(self, options: Options) -> None:
        if not 0 < options.max_message_size < _MOST:
            raise ConfigError(f"max_message_size is {options.max_message_size}; it must be between 1 and {_MOST - 1}")
        self._options = options
        self._servers = trusted_users(None if options.peer_uid is None else [options.peer_uid])
        self._clients = trusted_users(options.allowed_uids)

    @asynccontextmanager
    async def open(self, endpoint: Endpoint, /) -> AsyncIterator[TtrpcChannel]:
        """
        A channel to the plugin that listens at the endpoint's path.

        Raises:
            Unavailable: Nobody listens there, or not in time.
            PeerRefused: The process that listens there belongs to a user who is not trusted.
            WrongProtocol: It is a socket of another kind.
            ConfigError: The endpoint names no socket.
        """
        pipe = await connect(socket_of(endpoint), self._options.connection.connection_timeout, self._servers)
        async with open_ttrpc(pipe, max_message_size=self._options.max_message_size) as channel:
            yield channel

    @asynccontextmanager
    async def listen(self, endpoint: Endpoint, dispatch: Dispatch, /) -> AsyncIterator[UnixListener]:
        """
        Serve at the endpoint's path; the bare `unix:` takes a new path in a private directory.

        Raises:
            Unavailable: Somebody listens there already, or the directory cannot be written to.
            ConfigError: The path or its directory cannot be used.
        """
        with listening_socket(path_of(endpoint)) as (listening, path):
            listener = UnixListener(
                replace(endpoint, url=f"unix://{path}"),
                listening,
                dispatch,
                trusted=self._clients,
                max_message_size=self._options.max_message_size,
            )
            async with background_tasks() as tasks:
                tasks.start_soon(listener.accept_all, tasks)
                yield listener


class UnixListener:
    """
    A served plugin. Made by `UnixTransport.listen`.

    Attributes:
        endpoint: Where the plugin can be called.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        listening: socket.socket,
        dispatch: Dispatch,
        *,
        trusted: Collection[int],
        max_message_size: int,
    ) -> None:
        self.endpoint = endpoint
        self._listening = listening
        self._dispatch = dispatch
        self._trusted = trusted
        self._limit = max_message_size

    async def wait_closed(self) -> None:
        """
        Wait for ever: a listening socket does not end by itself.
        """
        await anyio.sleep_forever()

    async def accept_all(self, tasks: TaskGroup) -> None:
        """
        Serve every connection in a task of its own, until cancelled.
        """
        while True:
            await anyio.wait_readable(self._listening)
            try:
                connected, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                continue
            except OSError as error:  # no descriptors are left; those who wait in the queue lose nothing
                _log.warning("cannot accept a connection at %s: %s", self.endpoint.url, error)
                await anyio.sleep(_PAUSE_WITHOUT_DESCRIPTORS)
                continue
            self._welcome(connected, tasks)

    def _welcome(self, connected: socket.socket, tasks: TaskGroup) -> None:
        """
        Serve a connection of a trusted user; nothing is read from others.
        """
        peer = credentials_of(connected)
        if peer is None or peer.uid in self._trusted:
            tasks.start_soon(self._serve, connected, "unix" if peer is None else str(peer))
            return
        connected.close()
        _log.warning("refused a connection at %s: %s is none of allowed_uids", self.endpoint.url, peer)

    async def _serve(self, connected: socket.socket, peer: str) -> None:
        await serve_ttrpc(SocketPipe(connected), self._dispatch, peer, max_message_size=self._limit)
