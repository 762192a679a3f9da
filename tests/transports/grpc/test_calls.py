"""
Calls between Remora and Remora over gRPC.
"""

from __future__ import annotations

import anyio
import anyio.abc
import anyio.lowlevel
import pytest

from remora import (
    Call,
    Code,
    ConnectionLost,
    DeadlineExceeded,
    Endpoint,
    InvalidRequest,
    PluginError,
    RemoraError,
    Reply,
    Status,
    Unavailable,
)
from remora.protocols import Channel
from tests.transports.grpc.peers import abandon_a_call

pytestmark = pytest.mark.anyio


async def test_call_arrives_as_it_was_sent_and_so_does_its_reply(transport, free, plugin):
    """
    Service, method, payload, codec, request id and headers travel there; payload, codec and headers travel back.
    """
    call = Call(
        service="text.v1.Text",
        method="Echo",
        payload=b'{"a": 1}',
        headers={"X-Tenant": "acme", "traceparent": "00-1", "key-bin": "AAEC"},
        request_id="r-1",
    )
    with anyio.fail_after(5):
        async with transport.listen(free, plugin) as listener, transport.open(listener.endpoint) as channel:
            reply = await channel.call(call)

    [seen] = plugin.calls
    expected = {"x-tenant": "acme", "traceparent": "00-1", "key-bin": "AAEC"}
    assert ("text.v1.Text", "Echo", b'{"a": 1}') == (seen.service, seen.method, seen.payload)
    assert ("application/json", "r-1", expected) == (seen.content_type, seen.request_id, seen.headers)
    assert (b'{"a": 1}', "application/json", expected) == (reply.payload, reply.content_type, reply.headers)
    assert plugin.peers[0].startswith("127.0.0.1:")


@pytest.mark.parametrize("content_type", ["application/json", "application/proto", "application/msgpack", ""])
async def test_codec_of_the_payload_is_kept(transport, free, plugin, content_type):
    """
    The payload's media type travels beside gRPC's own.
    """
    with anyio.fail_after(5):
        async with transport.listen(free, plugin) as listener, transport.open(listener.endpoint) as channel:
            reply = await channel.call(Call(service="s", method="m", content_type=content_type))

    assert content_type == plugin.calls[0].content_type
    assert content_type == reply.content_type


async def test_call_without_service_and_method_travels(transport, free, plugin):
    """
    A plugin with one method needs no names.
    """
    with anyio.fail_after(5):
        async with transport.listen(free, plugin) as listener, transport.open(listener.endpoint) as channel:
            await channel.call(Call(payload=b"x"))

    assert ("", "") == (plugin.calls[0].service, plugin.calls[0].method)


async def test_two_hundred_calls_at_once_all_get_their_own_reply(transport, free, plugin):
    """
    No wake-up is lost between the loops, and no reply is mixed up.
    """
    replies = dict[int, bytes]()

    async def one(channel: Channel, number: int) -> None:
        replies[number] = (await channel.call(Call(service="s", method="m", payload=b"%d" % number))).payload

    with anyio.fail_after(20):
        async with transport.listen(free, plugin) as listener, transport.open(listener.endpoint) as channel:
            for _ in range(3):
                async with anyio.create_task_group() as tasks:
                    for number in range(200):
                        tasks.start_soon(one, channel, number)

    assert {number: b"%d" % number for number in range(200)} == replies


async def test_error_of_the_plugin_comes_with_code_message_details_and_headers(transport, free, plugin):
    """
    The caller sees what the handler raised.
    """
    with anyio.fail_after(5):
        async with transport.listen(free, plugin) as listener, transport.open(listener.endpoint) as channel:
            with pytest.raises(PluginError) as caught:
                await channel.call(Call(service="s", method="refuse"))

    error = caught.value
    assert (Code.NOT_FOUND, "no such üser") == (error.code, error.message)
    assert {"user": 7, "tried": ["a", "b"], "deep": {"is": True}} == error.details
    assert {"x-why": "because"} == error.headers


async def test_plugin_that_says_unavailable_is_not_taken_for_a_broken_connection(transport, free, plugin):
    """
    The plugin's own UNAVAILABLE stays its own, with the time after which to ask again.
    """
    with anyio.fail_after(5):
        async with transport.listen(free, plugin) as listener, transport.open(listener.endpoint) as channel:
            with pytest.raises(PluginError) as caught:
                await channel.call(Call(service="s", method="refuse_for_now"))

    assert (Code.UNAVAILABLE, 1.5) == (caught.value.code, caught.value.retry_after)


async def test_bug_in_the_plugin_is_internal_and_tells_nothing(transport, free, plugin, caplog):
    """
    An exception that is no answer is logged by the plugin, not sent.
    """
    with anyio.fail_after(5):
        async with transport.listen(free, plugin) as listener, transport.open(listener.endpoint) as channel:
            with pytest.raises(PluginError) as caught:
                await channel.call(Call(service="s", method="fail"))

    assert Code.INTERNAL == caught.value.code
    assert "secret" not in str(caught.value)
    assert "secret" in caplog.text


async def test_handler_sees_the_remaining_time(transport, free, plugin):
    """
    The deadline is carried as remaining time and put on the plugin's own clock.
    """
    with anyio.fail_after(5):
        async with transport.listen(free, plugin) as listener, transport.open(listener.endpoint) as channel:
            deadline = anyio.current_time() + 30
            await channel.call(Call(service="s", method="m", deadline=deadline))

    assert deadline == pytest.approx(plugin.calls[0].deadline, abs=1)


async def test_deadline_ends_the_call_on_both_sides(transport, free, plugin):
    """
    The caller gets DeadlineExceeded and the handler is cancelled.
    """
    with anyio.fail_after(5):
        async with transport.listen(free, plugin) as listener, transport.open(listener.endpoint) as channel:
            with pytest.raises(DeadlineExceeded):
                await channel.call(Call(service="s", method="hang", deadline=anyio.current_time() + 0.1))
            await plugin.cancelled.wait()


async def test_call_whose_time_is_over_is_not_sent(transport, free, plugin):
    """
    A deadline in the past costs no round trip.
    """
    with anyio.fail_after(5):
        async with transport.listen(free, plugin) as listener, transport.open(listener.endpoint) as channel:
            with pytest.raises(DeadlineExceeded) as caught:
                await channel.call(Call(service="s", method="m", deadline=anyio.current_time() - 1))

    assert not caught.value.sent
    assert [] == plugin.calls


async def test_cancelled_caller_cancels_the_handler(transport, free, plugin):
    """
    Abandoning a call reaches the plugin, and the channel serves others afterwards.
    """
    with anyio.fail_after(5):
        async with transport.listen(free, plugin) as listener, transport.open(listener.endpoint) as channel:
            await abandon_a_call(channel, plugin)
            reply = await channel.call(Call(service="s", method="m", payload=b"x"))

    assert b"x" == reply.payload


async def test_caller_cancelled_before_the_call_began_does_not_wait(transport, free, plugin):
    """
    A cancelled scope is left at the call's first await, though the method would never answer.
    """
    with anyio.fail_after(5):
        async with transport.listen(free, plugin) as listener, transport.open(listener.endpoint) as channel:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await channel.call(Call(service="s", method="hang"))

    assert scope.cancelled_caught


async def test_closing_the_channel_ends_its_calls(transport, free, plugin):
    """
    A call under way when the channel closes gets an error; its task is not cancelled.
    """
    async with transport.listen(free, plugin) as listener:
        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                async with transport.open(listener.endpoint) as channel:
                    doomed = _Doomed(tasks, channel)
                    await plugin.entered.wait()
                error = await doomed.error()
            with pytest.raises(Unavailable, match="closed"):
                await channel.call(Call(service="s", method="m"))

    assert isinstance(error, Unavailable)


async def test_stopping_the_server_ends_the_calls_under_way(transport, free, plugin):
    """
    The caller hears at once that the plugin is gone, and the handler is cancelled.
    """
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            async with transport.listen(free, plugin) as listener:
                opened = transport.open(listener.endpoint)
                channel = await opened.__aenter__()
                doomed = _Doomed(tasks, channel)
                await plugin.entered.wait()
            error = await doomed.error()
            await plugin.cancelled.wait()
            await opened.__aexit__(None, None, None)

    assert isinstance(error, ConnectionLost)


async def test_channel_outlives_a_restart_of_the_plugin(transport, free, plugin):
    """
    Calls fail with Unavailable while nobody listens, and succeed again afterwards.
    """
    with anyio.fail_after(20):
        async with transport.listen(free, plugin) as listener:
            endpoint = listener.endpoint
            opened = transport.open(endpoint)
            channel = await opened.__aenter__()
            await channel.call(Call(service="s", method="m"))
        error = await _until_nobody_listens(channel)
        async with transport.listen(endpoint, plugin):
            reply = await _until_it_answers(channel)
        await opened.__aexit__(None, None, None)

    assert b"again" == reply
    assert Unavailable is type(error)


@pytest.mark.fault(66)
@pytest.mark.parametrize("headers", [{"x": "a\r\nb"}, {"x": "a\0"}, {"x": "é"}, {"a b": "c"}, {"x-bin": "?"}])
async def test_header_that_grpc_cannot_carry_is_refused(transport, free, plugin, headers):
    """
    Nothing is sent, and the error says so.
    """
    with anyio.fail_after(5):
        async with transport.listen(free, plugin) as listener, transport.open(listener.endpoint) as channel:
            with pytest.raises(InvalidRequest) as caught:
                await channel.call(Call(service="s", method="m", headers=headers))

    assert not caught.value.sent
    assert [] == plugin.calls


@pytest.mark.fault(66)
async def test_reply_with_a_header_that_grpc_cannot_carry_is_an_error_of_the_plugin(transport, free):
    """
    The caller's request was right, so it is not blamed.
    """

    async def odd(call: Call, peer: str) -> Reply:
        return Reply(headers={"x": "a\nb"})

    with anyio.fail_after(5):
        async with transport.listen(free, odd) as listener, transport.open(listener.endpoint) as channel:
            with pytest.raises(PluginError, match="the reply") as caught:
                await channel.call(Call(service="s", method="m"))

    assert Code.INTERNAL == caught.value.code


async def test_health_is_asked_by_the_standard_service(transport, free, plugin):
    """
    A probe is an ordinary call.
    """
    with anyio.fail_after(5):
        async with transport.listen(free, plugin) as listener, transport.open(listener.endpoint) as channel:
            health = await channel.probe()

    assert Status.HEALTHY == health.status
    assert "application/proto" == plugin.calls[0].content_type


@pytest.mark.fault(42)
async def test_address_in_use_is_unavailable(transport, free, plugin):
    """
    Two plugins never share a port.
    """
    with anyio.fail_after(5):
        async with transport.listen(free, plugin) as listener:
            with pytest.raises(Unavailable, match="cannot be taken"):
                async with transport.listen(listener.endpoint, plugin):
                    pass


async def test_error_in_the_block_comes_out_as_it_is(transport, free, plugin):
    """
    Neither side wraps what its user raises.
    """
    with anyio.fail_after(5), pytest.raises(KeyError, match="mine"):
        async with transport.listen(free, plugin) as listener, transport.open(listener.endpoint):
            raise KeyError("mine")


async def test_cancelled_listener_stops_in_good_order(transport, free, plugin):
    """
    Cancelling whoever serves cancels the handlers and frees the port.
    """
    endpoint = list[Endpoint]()

    async def serve(task_status: anyio.abc.TaskStatus[Endpoint]) -> None:
        async with transport.listen(free, plugin) as listener:
            endpoint.append(listener.endpoint)
            task_status.started(listener.endpoint)
            await listener.wait_closed()

    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            address = await tasks.start(serve)
            async with transport.open(address) as channel, anyio.create_task_group() as callers:
                doomed = _Doomed(callers, channel)
                await plugin.entered.wait()
                tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await doomed.error()
        await plugin.cancelled.wait()
        async with transport.listen(endpoint[0], plugin):
            pass


class _Doomed:
    """
    A call in a task of its own that will end with an error.
    """

    def __init__(self, tasks: anyio.abc.TaskGroup, channel: Channel) -> None:
        self._done = anyio.Event()
        self._error: RemoraError | None = None
        tasks.start_soon(self._call, channel)

    async def error(self) -> RemoraError | None:
        await self._done.wait()
        return self._error

    async def _call(self, channel: Channel) -> None:
        try:
            await channel.call(Call(service="s", method="hang"))
        except RemoraError as error:
            self._error = error
        finally:
            self._done.set()


async def _until_nobody_listens(channel: Channel) -> Unavailable:
    """
    Why a call was not sent; those before it may have gone down with the connection.
    """
    while True:
        with pytest.raises(Unavailable) as caught:
            await channel.call(Call(service="s", method="m"))
        if not caught.value.sent:
            return caught.value


async def _until_it_answers(channel: Channel) -> bytes:
    while True:
        try:
            return (await channel.call(Call(service="s", method="m", payload=b"again"))).payload
        except Unavailable:
            await anyio.lowlevel.checkpoint()
