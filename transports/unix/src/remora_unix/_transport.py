"""
The transport: channels to sockets, and a listener on one.
"""

from __future__ import annotations

import logging
import socket
import struct
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from remora.errors import ConfigError
from remora.io import SocketPipe, TtrpcChannel, background_tasks, open_ttrpc, serve_ttrpc
from remora_unix._address import path_of
from remora_unix._connect import connect
from remora_unix._socket_file import listening_socket

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import TaskGroup

    from remora.protocols import Dispatch
    from remora.types import Endpoint
    from remora_unix.plugin import Options

_log = logging.getLogger(__name__)

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

    @asynccontextmanager
    async def open(self, endpoint: Endpoint, /) -> AsyncIterator[TtrpcChannel]:
        """
        A channel to whoever listens at the endpoint's path.
        """
        if not (path := path_of(endpoint)):
            raise ConfigError(f"{endpoint.url}: which socket? Write unix:///path/of/the.sock")
        pipe = await connect(path, self._options.connection.connection_timeout)
        async with open_ttrpc(pipe, max_message_size=self._options.max_message_size) as channel:
            yield channel

    @asynccontextmanager
    async def listen(self, endpoint: Endpoint, dispatch: Dispatch, /) -> AsyncIterator[UnixListener]:
        """
        Serve at the endpoint's path, or for the bare `unix:` at a private one.
        """
        with listening_socket(path_of(endpoint)) as (listening, path):
            listener = UnixListener(replace(endpoint, url=f"unix://{path}"), listening, dispatch, self._options)
            async with background_tasks() as tasks:
                tasks.start_soon(listener.accept_all, tasks)
                yield listener


class UnixListener:
    """
    A served plugin. Made by `UnixTransport.listen`.
    """

    def __init__(self, endpoint: Endpoint, listening: socket.socket, dispatch: Dispatch, options: Options) -> None:
        self._endpoint = endpoint
        self._listening = listening
        self._dispatch = dispatch
        self._limit = options.max_message_size

    @property
    def endpoint(self) -> Endpoint:
        """
        Where the plugin can be called.
        """
        return self._endpoint

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
                _log.warning("cannot accept a connection at %s: %s", self._endpoint.url, error)
                await anyio.sleep(_PAUSE_WITHOUT_DESCRIPTORS)
                continue
            tasks.start_soon(self._serve, connected)

    async def _serve(self, connected: socket.socket) -> None:
        await serve_ttrpc(SocketPipe(connected), self._dispatch, _name_of(connected), max_message_size=self._limit)


def _name_of(connected: socket.socket) -> str:
    if sys.platform != "linux":
        return "unix"
    credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid, uid, gid = struct.unpack("3i", credentials)
    return f"pid:{pid} uid:{uid} gid:{gid}"
