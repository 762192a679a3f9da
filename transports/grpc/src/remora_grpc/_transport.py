"""
The transport: options and endpoints turned into channels and servers.

What lives here: the settings of grpcio. What must not: calls.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import grpc
import grpc.aio

from remora_grpc._address import Address, is_secure, local_address, remote_address, with_address
from remora_grpc._channel import GrpcChannel, open_channel
from remora_grpc._client import Client
from remora_grpc._credentials import ChannelCredentials, server_credentials, watch
from remora_grpc._refusal import why_refused
from remora_grpc._server import GrpcListener, Server, open_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from remora.protocols import Dispatch
    from remora.types import Endpoint
    from remora_grpc.plugin import GrpcOptions

_RECONNECT_FIRST_MS = 100
_HANDSHAKE_MS = 10_000
_RECONNECT_MOST_MS = 5_000
_MOST_METADATA = 16 * 1024
_MOST = 2**31 - 1
"""The largest number that a setting may have."""

Setting = tuple[str, int | str]


class GrpcTransport:
    """
    Plugins over gRPC.
    """

    def __init__(self, options: GrpcOptions) -> None:
        self._options = options

    @asynccontextmanager
    async def open(self, endpoint: Endpoint, /) -> AsyncIterator[GrpcChannel]:
        """
        A channel to the plugin at `grpc://HOST:PORT` or `grpcs://HOST:PORT`, connected.

        Raises:
            Unavailable: Nothing answers there.
            WrongProtocol: What answers there does not speak gRPC.
            ConfigError: The endpoint cannot be used, or a certificate cannot be read.
        """
        address = remote_address(endpoint)
        credentials = ChannelCredentials(watch(self._options)) if is_secure(endpoint) else None
        make_channel = partial(_channel, f"dns:///{address}", credentials, self._client_settings())
        is_stale = None if credentials is None else credentials.are_stale
        client = Client(make_channel, self._options.max_message_size, is_stale)
        timeout = self._options.connection.connection_timeout
        explain = None if credentials is None else partial(why_refused, address, self._options, timeout)
        async with open_channel(client, timeout, explain) as channel:
            yield channel

    @asynccontextmanager
    async def listen(self, endpoint: Endpoint, dispatch: Dispatch, /) -> AsyncIterator[GrpcListener]:
        """
        Serve a plugin; port 0 and the bare `grpc:` take a free port.

        Raises:
            Unavailable: The address is taken.
            ConfigError: The endpoint cannot be used, or a certificate cannot be read.
        """
        address = local_address(endpoint)
        credentials = server_credentials(self._options) if is_secure(endpoint) else None
        server = Server(address, self._server_settings(), credentials)
        async with open_server(server, dispatch, self._options.max_message_size) as port:
            yield GrpcListener(with_address(endpoint, Address(address.host, port)))

    def _client_settings(self) -> tuple[Setting, ...]:
        timeout_ms = max(1, round(min(_MOST, self._options.connection.connection_timeout * 1000)))
        settings: tuple[Setting, ...] = (
            *self._message_limits(),
            ("grpc.enable_http_proxy", 0),
            ("grpc.enable_retries", 0),
            # Two channels to one address share no connection, and no waiting time after a failed one.
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.initial_reconnect_backoff_ms", _RECONNECT_FIRST_MS),
            ("grpc.max_reconnect_backoff_ms", _RECONNECT_MOST_MS),
            ("grpc.min_reconnect_backoff_ms", timeout_ms),
        )
        name = self._options.server_name
        return (*settings, ("grpc.ssl_target_name_override", name)) if name else settings

    def _server_settings(self) -> tuple[Setting, ...]:
        return (
            *self._message_limits(),
            ("grpc.so_reuseport", 0),
            ("grpc.server_handshake_timeout_ms", _HANDSHAKE_MS),
            # By default one connection may open any number, and then calls of others are dropped.
            # It counts streams that the client knows to be over, and so refuses some that are within the number.
            ("grpc.http.overload_protection", 0),
            ("grpc.max_concurrent_streams", min(_MOST, self._options.max_concurrent_streams)),
        )

    def _message_limits(self) -> tuple[Setting, ...]:
        size = min(_MOST, self._options.max_message_size)
        return (
            ("grpc.max_send_message_length", size),
            ("grpc.max_receive_message_length", size),
            # Between the two limits grpcio draws by lot, and the lower one is 8 KiB by default.
            ("grpc.max_metadata_size", _MOST_METADATA),
            ("grpc.absolute_max_metadata_size", _MOST_METADATA),
        )


def _channel(target: str, credentials: ChannelCredentials | None, settings: tuple[Setting, ...]) -> grpc.aio.Channel:
    if credentials is None:
        return grpc.aio.insecure_channel(target, options=settings)
    return grpc.aio.secure_channel(target, credentials.current(), options=settings)
