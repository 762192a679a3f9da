"""
The plugin's side: a server that hands every unary call to a dispatch.

What lives here: the server, on grpcio's loop, and the listener. What must not: what the methods do.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote

import anyio
import grpc
import grpc.aio

from remora.errors import Code, InvalidRequest, PluginError, RemoraError, Unavailable
from remora.types import Call
from remora.wire import HEALTH_SERVICE, unsendable
from remora_grpc._bridge import Bridge, open_bridge
from remora_grpc._loop import settle
from remora_grpc._metadata import CONTENT_TYPE, REQUEST_ID, Pair, check_value, pack, unpack
from remora_grpc._status import oversize_text, rejection

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping, Sequence

    from remora.protocols import Dispatch
    from remora.types import Endpoint, Reply
    from remora_grpc._address import Address

_LOG = logging.getLogger(__name__.replace("_", ".", 1))
_WATCH = f"/{HEALTH_SERVICE}/Watch"
_STOP_TIMEOUT = 5.0

Context = grpc.aio.ServicerContext[bytes, bytes]


class GrpcListener:
    """
    A served plugin.

    Attributes:
        endpoint: Where it can be called.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    async def wait_closed(self) -> None:
        """
        Wait for ever: a listening socket never ends by itself.
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
        self._handler: Handler | None = None

    async def start(self, handler: Handler) -> int:
        """
        Take calls.

        Returns:
            The port that was taken.

        Raises:
            Unavailable: The address cannot be taken.
        """
        self._server = grpc.aio.server(options=self._settings)
        self._handler = handler
        self._server.add_generic_rpc_handlers((handler,))
        try:
            port = self._bind(self._server)
        except RuntimeError as error:
            cause = error.with_traceback(None)  # its frames hold objects of grpcio (see `_client`)
            raise Unavailable(
                f"the address {self._address} cannot be taken; something else may listen there", sent=False
            ) from cause
        await self._server.start()
        return port

    async def stop(self) -> None:
        """
        Take no more calls, cancel those under way and wait until their handlers have ended.
        """
        server, self._server = self._server, None
        if server is not None:
            await server.stop(None)
        if self._handler is not None:
            await self._handler.wait_idle()

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
            yield await bridge.run(server.start, Handler(bridge, dispatch, max_message_size))
        finally:
            with anyio.move_on_after(_STOP_TIMEOUT, shield=True):
                await bridge.run(server.stop)


class Handler(grpc.GenericRpcHandler):
    """
    Takes every method. The standard health service's `Watch` is a stream, which Remora has none of.
    """

    def __init__(self, bridge: Bridge, dispatch: Dispatch, max_message_size: int) -> None:
        self._bridge = bridge
        self._dispatch = dispatch
        self._max_message_size = max_message_size
        self._tasks = set[asyncio.Task[Any]]()

    async def wait_idle(self) -> None:
        """
        Wait until no call is being answered.
        """
        if self._tasks:
            await asyncio.wait(self._tasks)
        await settle()

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes] | None:
        """
        What answers the calls of one method.
        """
        if handler_call_details.method == _WATCH:
            return None
        return grpc.unary_unary_rpc_method_handler(partial(self._answer, handler_call_details))

    async def _answer(self, details: grpc.HandlerCallDetails, payload: bytes, context: Context) -> bytes:
        self._note_task()
        remaining, peer = context.time_remaining(), context.peer()
        identity = _identity(context)
        try:
            answer = await self._bridge.answer(self._perform, details, payload, remaining, peer, identity)
            _write(context, answer)
        finally:
            # A traceback that the handler's logger keeps may lead here, and must not keep grpcio's objects.
            del context
        return answer.payload

    def _note_task(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _perform(
        self, details: grpc.HandlerCallDetails, payload: bytes, remaining: float | None, peer: str, identity: str
    ) -> _Answer:
        call = _call(details, payload, remaining, identity)
        try:
            reply = await self._dispatch(call, unquote(peer.partition(":")[2]))
            return self._answer_of(call, reply)
        except RemoraError as error:
            return _Answer(b"", *_rejection(error, call))
        except Exception:  # the served plugin's code; its caller must not see more than that it failed
            _LOG.exception("%s failed", call.name)
            return _Answer(b"", *rejection(PluginError("the plugin failed", code=Code.INTERNAL)))

    def _answer_of(self, call: Call, reply: Reply) -> _Answer:
        if len(reply.payload) > self._max_message_size:
            text = oversize_text(len(reply.payload), self._max_message_size)
            return _Answer(b"", grpc.StatusCode.RESOURCE_EXHAUSTED, text)
        try:
            return _Answer(reply.payload, trailing=_trailing(call, reply))
        except InvalidRequest as error:
            return _Answer(b"", *rejection(PluginError(f"the reply: {error.message}", code=Code.INTERNAL)))


def _rejection(error: RemoraError, call: Call) -> tuple[grpc.StatusCode, str, tuple[Pair, ...]]:
    try:
        return rejection(error)
    except Exception:  # a handler may have put anything into its error
        _LOG.exception("the error of %s cannot be sent as it is", call.name)
        return rejection(unsendable(error))


def _write(context: Context, answer: _Answer) -> None:
    if answer.status is not None:
        # `context.abort` would leave a cycle of references behind for every error.
        context.set_code(answer.status)
        context.set_details(answer.message)
    if answer.trailing:
        context.set_trailing_metadata(answer.trailing)


class _Answer(NamedTuple):
    payload: bytes
    status: grpc.StatusCode | None = None
    message: str = ""
    trailing: tuple[Pair, ...] = ()


def _identity(context: Context) -> str:
    """
    The name in the caller's verified certificate, chosen as `remora.tls.identity_of` does.
    """
    facts: Mapping[str, Iterable[bytes]] = context.auth_context()
    names = [*facts.get("x509_subject_alternative_name", ()), *facts.get("x509_common_name", ())]
    return names[0].decode(errors="replace") if names else ""


def _call(details: grpc.HandlerCallDetails, payload: bytes, remaining: float | None, identity: str) -> Call:
    service, _, method = details.method[1:].rpartition("/")
    headers, own = unpack(details.invocation_metadata)
    return Call(
        service=service,
        method=method,
        payload=payload,
        content_type=own.get(CONTENT_TYPE, ""),
        headers=headers,
        deadline=None if remaining is None else anyio.current_time() + remaining,
        request_id=own.get(REQUEST_ID, ""),
        identity=identity,
    )


def _trailing(call: Call, reply: Reply) -> tuple[Pair, ...]:
    trailing = pack(reply.headers) if reply.headers else []
    if reply.content_type != call.content_type:
        trailing.append((CONTENT_TYPE, check_value(CONTENT_TYPE, reply.content_type)))
    return tuple(trailing)
