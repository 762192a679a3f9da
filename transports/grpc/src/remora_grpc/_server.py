"""
The plugin's side: a server that hands every unary call to a dispatch.

What lives here: the server, on grpcio's loop, and the listener. What must not: what the methods do.
"""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import unquote

import anyio
import grpc
import grpc.aio

from remora.errors import Code, PluginError, RemoraError, Unavailable
from remora.types import Call
from remora.wire import HEALTH_SERVICE
from remora_grpc._bridge import Bridge, open_bridge
from remora_grpc._metadata import CONTENT_TYPE, REQUEST_ID, Pair, pack, unpack
from remora_grpc._status import oversize_text, rejection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from remora.protocols import Dispatch
    from remora.types import Endpoint, Reply
    from remora_grpc._address import Address

_LOG = logging.getLogger(__name__)
_WATCH = f"/{HEALTH_SERVICE}/Watch"
_STOP_TIMEOUT = 5.0

Context = grpc.aio.ServicerContext[bytes, bytes]


class GrpcListener:
    """
    A served plugin.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    @property
    def endpoint(self) -> Endpoint:
        """
        Where the plugin can be called.
        """
        return self._endpoint

    async def wait_closed(self) -> None:
        """
        Wait for good: a listening socket never ends by itself.
        """
        await anyio.sleep_forever()


class Server:
    """
    One grpc.aio server. Every method runs on grpcio's loop.
    """

    def __init__(
        self, address: Address, settings: Sequence[tuple[str, int | str]], credentials: grpc.ServerCredentials | None
    ) -> None:
        self._address = address
        self._settings = settings
        self._credentials = credentials
        self._server: grpc.aio.Server | None = None

    async def start(self, handler: grpc.GenericRpcHandler) -> int:
        """
        Take calls.

        Returns:
            The port that was taken.

        Raises:
            Unavailable: The address cannot be taken.
        """
        self._server = server = grpc.aio.server(options=self._settings)
        server.add_generic_rpc_handlers((handler,))
        try:
            port = self._bind(server)
        except RuntimeError as error:
            raise Unavailable(f"the address {self._address} cannot be taken", sent=False) from error
        await server.start()
        return port

    async def stop(self) -> None:
        """
        Take no more calls and cancel those under way.
        """
        server, self._server = self._server, None
        if server is not None:
            await server.stop(None)

    def _bind(self, server: grpc.aio.Server) -> int:
        if self._credentials is None:
            return server.add_insecure_port(str(self._address))
        return server.add_secure_port(str(self._address), self._credentials)


@asynccontextmanager
async def open_server(server: Server, dispatch: Dispatch, max_message_size: int) -> AsyncIterator[int]:
    """
    Serve a dispatch, until the context is left.

    Returns:
        The port that was taken.

    Raises:
        Unavailable: The address cannot be taken.
    """
    async with open_bridge(serving=True) as bridge:
        try:
            yield await bridge.run(server.start, _Handler(bridge, dispatch, max_message_size))
        finally:
            with anyio.move_on_after(_STOP_TIMEOUT, shield=True):
                await bridge.run(server.stop)


class _Handler(grpc.GenericRpcHandler):
    """
    Takes every method. The standard health service's `Watch` is a stream, which Remora has none of.
    """

    def __init__(self, bridge: Bridge, dispatch: Dispatch, max_message_size: int) -> None:
        self._bridge = bridge
        self._dispatch = dispatch
        self._max_message_size = max_message_size

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """
        What answers the calls of one method.
        """
        path = handler_call_details.method
        if path == _WATCH:
            return None

        async def answer(payload: bytes, context: Context) -> bytes:
            return await self._answer(path, payload, context)

        return grpc.unary_unary_rpc_method_handler(answer)

    async def _answer(self, path: str, payload: bytes, context: Context) -> bytes:
        metadata, remaining = context.invocation_metadata() or (), context.time_remaining()
        peer = unquote(context.peer().partition(":")[2])
        try:
            reply, trailing = await self._bridge.answer(self._perform, path, payload, metadata, remaining, peer)
        except RemoraError as error:
            await context.abort(*rejection(error))
        if len(reply.payload) > self._max_message_size:
            text = oversize_text(len(reply.payload), self._max_message_size)
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, text)
        if trailing:
            context.set_trailing_metadata(trailing)
        return reply.payload

    async def _perform(
        self, path: str, payload: bytes, metadata: Sequence[Pair], remaining: float | None, peer: str
    ) -> tuple[Reply, tuple[Pair, ...]]:
        call = _call(path, payload, metadata, remaining)
        try:
            reply = await self._dispatch(call, peer)
            return reply, _trailing(call, reply)
        except RemoraError:
            raise
        except Exception as error:  # the served plugin's code; its caller must not see more than that it failed
            _LOG.exception("%s failed", call.name)
            raise PluginError("the plugin failed", code=Code.INTERNAL) from error


def _call(path: str, payload: bytes, metadata: Sequence[Pair], remaining: float | None) -> Call:
    service, _, method = path[1:].rpartition("/")
    headers, own = unpack(metadata)
    return Call(
        service=service,
        method=method,
        payload=payload,
        content_type=own.get(CONTENT_TYPE, ""),
        headers=headers,
        deadline=None if remaining is None else anyio.current_time() + remaining,
        request_id=own.get(REQUEST_ID, ""),
    )


def _trailing(call: Call, reply: Reply) -> tuple[Pair, ...]:
    trailing = pack(reply.headers) if reply.headers else []
    if reply.content_type != call.content_type:
        trailing.append((CONTENT_TYPE, reply.content_type))
    return tuple(trailing)
