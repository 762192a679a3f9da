"""
The two ways of a unary call: by grpcio's part in C, and by its public names for interceptors.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio
import grpc
import grpc.aio
import pytest

from remora import Call, Code, ConnectionLost, DeadlineExceeded, Endpoint, PluginError
from remora.errors import RemoraError
from remora_grpc._bridge import open_bridge
from remora_grpc._channel import GrpcChannel, open_channel
from remora_grpc._client import Client
from remora_grpc._unary import Direct, Usual, method_of
from tests.transports.grpc.peers import abandon_a_call, foreign_server

pytestmark = pytest.mark.anyio


class Interceptor(grpc.aio.UnaryUnaryClientInterceptor):
    """
    Adds an entry to what is sent.
    """

    async def intercept_unary_unary(self, continuation, client_call_details, request):
        client_call_details.metadata.add("x-seen", "yes")
        return await continuation(client_call_details, request)


WAYS = {"direct": (), "usual": (Interceptor(),)}


@pytest.fixture(params=WAYS)
def way(request) -> str:
    """
    Which of the two.
    """
    return request.param


async def test_calls_go_directly_unless_an_interceptor_wants_to_see_them():
    """
    This grpcio's part in C is known.
    """

    async def kinds() -> list[type]:
        return [type(await _method(interceptors)) for interceptors in WAYS.values()]

    with anyio.fail_after(5):
        async with open_bridge() as bridge:
            found = await bridge.run(kinds)

    assert [Direct, Usual] == found


async def test_reply_and_its_metadata_are_the_same(way, transport, free, plugin):
    """
    An interceptor can add to what is sent.
    """
    call = Call(service="s", method="m", payload=b"x", headers={"x-a": "1"}, request_id="r-1")
    with anyio.fail_after(5):
        async with transport.listen(free, plugin) as listener, _open(listener.endpoint, way) as channel:
            reply = await channel.call(call)

    added = {"x-seen": "yes"} if way == "usual" else {}
    assert (b"x", {"x-a": "1"} | added) == (reply.payload, reply.headers)
    assert "r-1" == plugin.calls[0].request_id


async def test_error_of_the_plugin_is_the_same(way, transport, free, plugin):
    """
    Code, message, details and headers.
    """
    with anyio.fail_after(5):
        async with transport.listen(free, plugin) as listener, _open(listener.endpoint, way) as channel:
            with pytest.raises(PluginError) as caught:
                await channel.call(Call(service="s", method="refuse"))

    error = caught.value
    assert (Code.NOT_FOUND, "no such üser", {"x-why": "because"}) == (error.code, error.message, error.headers)
    assert 7 == error.details["user"]
    assert isinstance(error.__cause__, grpc.aio.AioRpcError)


async def test_deadline_and_cancellation_reach_the_handler(way, transport, free, plugin):
    """
    The channel can be used afterwards.
    """
    with anyio.fail_after(5):
        async with transport.listen(free, plugin) as listener, _open(listener.endpoint, way) as channel:
            with pytest.raises(DeadlineExceeded):
                await channel.call(Call(service="s", method="hang", deadline=anyio.current_time() + 0.05))
            await plugin.cancelled.wait()
            await abandon_a_call(channel, plugin)
            reply = await channel.call(Call(service="s", method="m", payload=b"x"))

    assert b"x" == reply.payload


@pytest.mark.fault(62)
async def test_cancelled_call_comes_to_its_end(transport, free, plugin):
    """
    grpcio frees what it has allocated for a call when the call ends, and not when it is dropped. It writes the status
    twice: what the caller asked for, which has no metadata, and what it made of that.
    """

    async def cancelled(address: str) -> tuple[object, object]:
        async with _channel(address, ()) as channel:
            call = channel._channel.call(b"/s/hang", None, None, None)
            task = asyncio.ensure_future(Direct(lambda *_: call, b"/s/hang")(b"", None, ()))
            await asyncio.sleep(0)
            task.cancel()
            return await task, call._status.trailing_metadata()

    with anyio.fail_after(5):
        async with transport.listen(free, plugin) as listener, open_bridge() as bridge:
            answer, metadata = await bridge.run(cancelled, listener.endpoint.address)

    assert asyncio.CancelledError is type(answer)
    assert () == metadata


async def test_call_under_way_ends_with_its_channel(way, transport, free, plugin):
    """
    Its task is not cancelled.
    """
    errors = list[RemoraError]()

    async def call(channel: GrpcChannel) -> None:
        with pytest.raises(RemoraError) as caught:
            await channel.call(Call(service="s", method="hang"))
        errors.append(caught.value)

    with anyio.fail_after(5):
        async with transport.listen(free, plugin) as listener, anyio.create_task_group() as tasks:
            async with _open(listener.endpoint, way) as other, _open(listener.endpoint, way) as channel:
                tasks.start_soon(call, channel)
                await plugin.entered.wait()
                await channel._bridge.run(channel._client.close)
                await plugin.cancelled.wait()
                await other.call(Call(service="s", method="m"))

    assert [ConnectionLost] == [type(error) for error in errors]


async def test_status_ok_without_a_reply_is_an_error(way):
    """
    A foreign plugin that takes the method for a stream may send none.
    """
    with foreign_server(_Streams()) as endpoint, anyio.fail_after(5):
        async with _open(endpoint, way) as channel:
            with pytest.raises(PluginError, match="without a reply") as caught:
                await channel.call(Call(service="s", method="m"))

    assert Code.INTERNAL == caught.value.code


def _channel(address: str, interceptors: tuple[Interceptor, ...]) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(address, interceptors=interceptors)


async def _method(interceptors: tuple[Interceptor, ...]) -> object:
    async with _channel("127.0.0.1:1", interceptors) as channel:
        return method_of(channel, "/s/m")


@asynccontextmanager
async def _open(endpoint: Endpoint, way: str) -> AsyncIterator[GrpcChannel]:
    make_channel = partial(_channel, endpoint.address, WAYS[way])
    async with open_channel(Client(make_channel, 1000), 5) as channel:
        yield channel


class _Streams(grpc.GenericRpcHandler):
    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        return grpc.unary_stream_rpc_method_handler(lambda request, context: iter(()))
