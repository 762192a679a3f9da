"""
The part of a channel that lives on grpcio's loop.

What lives here: the channel, its calls and their errors. What must not: the caller's loop, how grpcio carries a call
(see `_unary`).

grpcio's objects have to go before the loop does. A traceback that someone keeps would keep those in its frames too, so
the errors raised here come from frames that hold none, and so does what they were made from.
"""

from __future__ import annotations

import asyncio
from functools import lru_cache
from typing import TYPE_CHECKING

import anyio.lowlevel
import grpc
import grpc.aio

from remora.errors import (
    CertificateRejected,
    ConnectionLost,
    InvalidRequest,
    RemoraError,
    Unavailable,
)
from remora.wire import HEALTH_METHOD, HEALTH_SERVICE, make_reply, too_large
from remora_grpc._loop import settle
from remora_grpc._metadata import CONTENT_TYPE, REQUEST_ID, Pair, check_value, pack, unpack
from remora_grpc._status import connection_error, error_from_rpc
from remora_grpc._unary import method_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from remora.types import Call, Reply
    from remora_grpc._unary import Method

_READY = grpc.ChannelConnectivity.READY
_BROKEN = grpc.ChannelConnectivity.TRANSIENT_FAILURE
_HEALTH = f"/{HEALTH_SERVICE}/{HEALTH_METHOD}"


class Client:
    """
    One grpc.aio channel. Every method runs on grpcio's loop.
    """

    def __init__(
        self,
        make_channel: Callable[[], grpc.aio.Channel],
        max_message_size: int,
        is_stale: Callable[[], bool] | None = None,
    ) -> None:
        """
        Args:
            make_channel: Makes a channel.
            max_message_size: The largest request, in bytes.
            is_stale: Whether a channel made now would be another one, since certificates have changed.
        """
        self._make_channel = make_channel
        self._is_stale = is_stale
        self._channel: grpc.aio.Channel | None = None
        self._methods: dict[tuple[str, str], Method] = {}
        self._max_message_size = max_message_size

    async def connect(self, limit: float) -> None:
        """
        Make the channel and wait for its connection.

        Raises:
            Unavailable: Nothing answers, or not within the limit.
            WrongProtocol: Something else answers.
        """
        self._channel = self._make_channel()
        try:
            problem = await _first_problem(self._channel, limit)
        except asyncio.CancelledError as error:
            raise error.with_traceback(None)  # noqa: B904
        if problem is not None:
            raise problem

    async def invoke(self, call: Call, timeout: float | None) -> Reply:
        """
        Make one call.

        Raises:
            RemoraError: It ended with an error.
        """
        if self._is_outdated():
            await self._replace()
        answer = await self._method(call)(call.payload, timeout, _metadata(call))
        if isinstance(answer, BaseException):
            raise await self._error(answer)
        return _reply(call, *answer)

    async def close(self) -> None:
        """
        End all calls and the connection.
        """
        channel, self._channel = self._channel, None
        self._end_calls()
        if channel is not None:
            await channel.close()
            await settle()

    async def _replace(self) -> None:
        """
        Have the next connection made with the certificates of now. Only a connection that is broken is given up.
        """
        if self._channel is not None:
            old, self._channel = self._channel, self._make_channel()
            self._end_calls()
            await old.close()

    def _end_calls(self) -> None:
        methods, self._methods = self._methods, {}
        for method in methods.values():
            method.close()

    async def _error(self, found: BaseException) -> BaseException:
        if isinstance(found, grpc.aio.AioRpcError):
            error = error_from_rpc(found, connected=self._is_connected())
            if isinstance(error, CertificateRejected) and self._is_outdated():  # the connection was lost just now
                return Unavailable(f"{error.message}; certificates have changed since, try again", sent=False)
            return error
        if isinstance(found, grpc.aio.BaseError):
            return InvalidRequest(f"grpcio refuses the call: {found}")
        await _let_scope_raise()
        return found if _is_cancelled() else ConnectionLost("the channel was closed")

    def _is_outdated(self) -> bool:
        return self._is_stale is not None and not self._is_connected() and self._is_stale()

    def _is_connected(self) -> bool:
        return self._channel is not None and self._channel.get_state() is _READY

    def _method(self, call: Call) -> Method:
        if len(call.payload) > self._max_message_size:
            raise too_large("request", self._max_message_size, sent=False)
        return self._methods.get((call.service, call.method)) or self._new_method(call.service, call.method)

    def _new_method(self, service: str, method: str) -> Method:
        path = f"/{service}/{method}"
        if self._channel is None:
            raise Unavailable("the channel is closed", sent=False)
        if not path.isascii() or not path.isprintable() or " " in path:
            raise InvalidRequest(f"{path[1:]!r} cannot be the name of a gRPC method")
        made = self._methods[service, method] = method_of(self._channel, path)
        return made


async def _first_problem(channel: grpc.aio.Channel, limit: float) -> RemoraError | None:
    try:
        async with asyncio.timeout(limit):
            return await _wait_ready(channel)
    except TimeoutError:
        return Unavailable(f"no answer to gRPC's greeting within {limit:g} s", sent=False)


async def _wait_ready(channel: grpc.aio.Channel) -> RemoraError | None:
    state = channel.get_state(try_to_connect=True)
    while state is not _READY:
        if state is _BROKEN and (cause := await _cause(channel)) is not None:
            return cause
        await channel.wait_for_state_change(state)
        state = channel.get_state(try_to_connect=True)
    return None


async def _cause(channel: grpc.aio.Channel) -> RemoraError | None:
    # grpcio tells why a channel has failed only to a call, which is refused at once.
    check: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(_HEALTH)
    try:
        await check(b"")
    except grpc.aio.AioRpcError as error:
        is_reason = error.code() is grpc.StatusCode.UNAVAILABLE and channel.get_state() is not _READY
        return connection_error(error) if is_reason else None
    except asyncio.CancelledError:
        pass
    else:
        return None
    await _let_scope_raise()
    raise asyncio.CancelledError


async def _let_scope_raise() -> None:
    # A cancelled call raises a CancelledError of grpcio's own making, which the cancelled scope would not know as its.
    await anyio.lowlevel.checkpoint_if_cancelled()


def _metadata(call: Call) -> tuple[Pair, ...]:
    metadata = pack(call.headers) if call.headers else []
    if call.request_id:
        metadata.append((REQUEST_ID, check_value(REQUEST_ID, call.request_id)))
    if call.content_type:
        metadata.append(_format(call.content_type))
    return tuple(metadata)


@lru_cache(maxsize=64)
def _format(content_type: str) -> Pair:
    return CONTENT_TYPE, check_value(CONTENT_TYPE, content_type)


def _reply(call: Call, payload: bytes, metadata: tuple[Pair, ...]) -> Reply:
    if not metadata:
        return make_reply(payload, call.content_type, {})
    headers, own = unpack(metadata)
    return make_reply(payload, own.get(CONTENT_TYPE, call.content_type), headers)


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
