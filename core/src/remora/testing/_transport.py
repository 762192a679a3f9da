"""
The contract of transports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from remora._extensions._registry import load_catalog
from remora._serving._dispatch import Dispatcher
from remora.errors import Code, DeadlineExceeded, PluginError, RemoraError, TryLater, Unavailable
from remora.protocols import WatchedChannel
from remora.testing._claims import claims_of, keeps
from remora.testing._contract import Contract, Failure, Number, Seen, Text
from remora.testing._transport_bench import (
    BOUND,
    JSON,
    SERVICE,
    Bench,
    Peer,
    call_of,
    directory_as_before,
    error_of,
)
from remora.types import Call, Endpoint, Reply, Status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskStatus

    from remora.protocols import Channel, Transport
    from remora.specs import TransportSpec
    from remora.testing._claims import Claim

__all__ = ["check_transport"]

_SOON = 5.0
_BYTES = "application/octet-stream"


async def check_transport(spec: TransportSpec[Any], options: object = None) -> list[str]:
    """
    Put a transport through the contract, over its real wire.

    The plugin's side is served by the transport itself, at a free address that it chooses (`SCHEME:`);
    a transport that launches programs starts one that serves on `stdio:`.

    Args:
        spec: What the transport's hook returns.
        options: The options to build it with; None for the defaults.

    Returns:
        The claims that were checked, in order.

    Raises:
        ContractViolation: A claim does not hold.
    """
    return await keeps(spec.name, transport_claims(spec, options))


def transport_claims(spec: TransportSpec[Any], options: object = None) -> list[Claim]:
    """
    The contract of transports, for one of them.
    """
    bench = Bench(spec, options if options is not None else spec.options())
    return claims_of(_CHECKS, bench)


async def _a_reply_is_the_answer_to_its_own_request(bench: Bench) -> None:
    async with bench.connected() as peer:
        for text in ("", "hello", "ü\u2028\U0001f41f\x00", "x" * 100_000):
            await peer.echo(text)


async def _many_calls_are_in_flight_at_once(bench: Bench) -> None:
    async with bench.connected() as peer, anyio.create_task_group() as group:
        for number in range(50):
            group.start_soon(peer.echo, str(number))


async def _a_slow_call_holds_up_no_other(bench: Bench) -> None:
    async with bench.connected() as peer, anyio.create_task_group() as group:
        group.start_soon(peer.reply, "sleep", Number(3600))
        await peer.call("echo", Text("quick"), Text)
        group.cancel_scope.cancel()


async def _every_code_comes_back_with_message_and_details(bench: Bench) -> None:
    async with bench.connected() as peer:
        for code in Code:
            details = {"field": "name", "limit": 3, "list": [1, "two", None, True, {"deep": 1.5}]}
            error = await error_of(peer.reply("fail", Failure(code, f"no: {code} ü", details)))
            assert error.code is code, f"expected {code}, got {error.code}"
            if code is not Code.DEADLINE_EXCEEDED:
                assert isinstance(error, PluginError), f"expected a PluginError, got {error!r}"
                assert error.message == f"no: {code} ü", f"the message is {error.message!r}"
                assert error.details == details, f"the details are {error.details!r}"


async def _a_refusal_says_when_to_try_again(bench: Bench) -> None:
    async with bench.connected() as peer:
        for seconds in (None, 0.0, 0.25, 2.0):
            error = await error_of(peer.reply("fail", Failure(Code.UNAVAILABLE, "not now", retry_after=seconds)))
            assert error.retry_after == seconds, f"expected retry_after={seconds}, got {error.retry_after!r}"


async def _an_unexpected_exception_is_internal_and_keeps_its_secrets(bench: Bench) -> None:
    async with bench.connected() as peer:
        error = await error_of(peer.reply("crash", Text("swordfish")))
        assert error.code is Code.INTERNAL, f"the code is {error.code}"
        assert "swordfish" not in str(error), f"the message is {error.message!r}"
        assert "Traceback" not in str(error), f"the message is {error.message!r}"


async def _an_unknown_method_is_unimplemented(bench: Bench) -> None:
    async with bench.connected() as peer:
        error = await error_of(peer.reply("no_such_method", Text()))
        assert error.code is Code.UNIMPLEMENTED, f"the code is {error.code}"


async def _request_id_and_headers_travel_both_ways(bench: Bench) -> None:
    async with bench.connected() as peer:
        reply = await peer.reply("look", Text("over here"), headers={"x-tenant": "acme"}, request_id="r-17")
        seen = JSON.decode(reply.payload, Seen)
        assert (seen.service, seen.method) == (SERVICE, "look"), f"the plugin sees {seen}"
        assert seen.request_id == "r-17", f"the plugin sees the request id {seen.request_id!r}"
        assert seen.headers.get("x-tenant") == "acme", f"the plugin sees the headers {seen.headers}"
        assert reply.headers.get("x-answer") == "over here", f"the host sees the headers {dict(reply.headers)}"


async def _any_bytes_travel_with_their_content_type(bench: Bench) -> None:
    payload = bytes(range(256))
    async with bench.mirrored() as (channel, calls):
        reply = await channel.call(call_of("mirror", payload=payload, content_type=_BYTES))
    (seen,) = calls
    assert seen.payload == payload, f"the plugin sees the payload {seen.payload[:40]!r}, and so on"
    assert seen.content_type == _BYTES, f"the plugin sees the content type {seen.content_type!r}"
    assert reply.payload == payload, f"the host sees the payload {reply.payload[:40]!r}, and so on"
    assert reply.content_type == _BYTES, f"the host sees the content type {reply.content_type!r}"


async def _nobody_can_give_himself_an_identity(bench: Bench) -> None:
    async with bench.mirrored() as (channel, calls):
        await channel.call(call_of("mirror", payload=b"{}", identity="somebody else"))
    (seen,) = calls
    assert not seen.identity, f"the plugin takes the caller for {seen.identity!r}, as the caller itself says"


async def _the_plugin_sees_the_remaining_time(bench: Bench) -> None:
    async with bench.connected() as peer:
        seen = await peer.call("look", Text(), Seen, deadline=anyio.current_time() + 5)
        assert seen.remaining is not None, "the plugin sees no deadline"
        # some wires round it up a little
        assert 0 < seen.remaining <= 5.1, f"the plugin sees {seen.remaining} s of 5"


async def _a_native_deadline_ends_the_call(bench: Bench) -> None:
    bench.needs_native_deadline()
    async with bench.connected() as peer:
        started = anyio.current_time()
        error = await error_of(peer.reply("sleep", Number(3600), deadline=started + 0.2))
        assert isinstance(error, DeadlineExceeded), f"expected DeadlineExceeded, got {error!r}"
        assert anyio.current_time() - started >= 0.19, "the call ended before its deadline"


async def _cancellation_reaches_the_plugin(bench: Bench) -> None:
    async with bench.connected() as peer:
        await peer.call("echo", Text(), Text)
        with anyio.move_on_after(0.1):
            await peer.reply("sleep", Number(3600))
        with anyio.move_on_after(_SOON):
            while (await peer.call("cancelled", Text(), Number)).number < 1:
                pass
            return
    raise AssertionError(f"the handler of a cancelled call is still at work after {_SOON:g} s")


async def _closing_a_channel_ends_its_calls_at_once(bench: Bench) -> None:
    bench.needs_native_deadline()  # the pipeline ends calls over other ones by itself
    errors: list[RemoraError] = []

    async def sleep(peer: Peer) -> None:
        errors.append(await error_of(peer.reply("sleep", Number(3600), deadline=anyio.current_time() + 3600)))

    with anyio.move_on_after(BOUND) as scope:
        async with anyio.create_task_group() as group, bench.connected() as peer:
            await peer.call("echo", Text(), Text)
            group.start_soon(sleep, peer)
            await peer.call("echo", Text(), Text)
    assert not scope.cancelled_caught, "a call goes on after its channel was closed"
    assert isinstance(errors[0], Unavailable), f"expected Unavailable, got {errors[0]!r}"


async def _a_plugin_that_goes_away_ends_its_calls(bench: Bench) -> None:
    bench.needs_listeners()
    gone, errors = anyio.Event(), list[RemoraError]()

    async def call(channel: Channel) -> None:
        errors.append(
            await error_of(channel.call(call_of("wait", payload=b"{}", deadline=anyio.current_time() + 3600)))
        )
        gone.set()

    async with anyio.create_task_group() as group:
        leave, begun = anyio.Event(), anyio.Event()
        transport, endpoint = await group.start(_serve_waiting, bench, begun, leave)
        async with transport.open(endpoint) as channel:
            group.start_soon(call, channel)
            with anyio.move_on_after(_SOON):
                await begun.wait()
                leave.set()
                await gone.wait()
            assert begun.is_set(), f"the call has not reached the plugin after {_SOON:g} s"
            assert errors, f"the call goes on {_SOON:g} s after its plugin has gone"
    (error,) = errors
    assert error.code in (Code.UNAVAILABLE, Code.CANCELLED), f"expected ConnectionLost, got {error!r}"
    assert error.sent is not False, "the plugin was at work, but `sent` is False: it would be called twice"


async def _a_channel_whose_plugin_has_gone_says_so(bench: Bench) -> None:
    bench.needs_listeners()
    leave, gone = anyio.Event(), anyio.Event()

    async def serve(*, task_status: TaskStatus[tuple[Transport, Endpoint]]) -> None:
        await _serve_waiting(bench, anyio.Event(), leave, task_status=task_status)
        gone.set()

    async with anyio.create_task_group() as group:
        transport, endpoint = await group.start(serve)
        async with transport.open(endpoint) as channel:
            await channel.call(call_of("echo", payload=b"{}"))
            leave.set()
            await gone.wait()
            if isinstance(channel, WatchedChannel):
                with anyio.move_on_after(_SOON) as scope:
                    await channel.wait_closed()
                assert not scope.cancelled_caught, f"`wait_closed` waits {_SOON:g} s after the plugin has gone"
            error = await error_of(channel.call(call_of("echo", payload=b"{}", deadline=anyio.current_time() + _SOON)))
            assert isinstance(error, TryLater), f"expected Unavailable from the next call, got {error!r}"
            await error_of(channel.probe())


async def _serve_waiting(
    bench: Bench, begun: anyio.Event, leave: anyio.Event, *, task_status: TaskStatus[tuple[Transport, Endpoint]]
) -> None:
    """
    Serve a plugin that begins to answer and does not end, until it is to go away.
    """

    async def wait(call: Call, peer: str) -> Reply:
        if call.method != "wait":
            return Reply(payload=b"{}")
        begun.set()
        await anyio.sleep_forever()
        raise AssertionError("nobody waits for ever")

    async with bench.listening(wait) as (transport, endpoint):
        task_status.started((transport, endpoint))
        await leave.wait()


async def _a_late_reply_reaches_nobody(bench: Bench) -> None:
    async with bench.connected() as peer:
        for number in range(5):
            with anyio.move_on_after(0.02):
                await peer.reply("sleep", Number(0.03))
            await peer.echo(str(number))


async def _an_oversize_request_fails_alone(bench: Bench) -> None:
    bench.needs_limit()
    async with bench.connected(max_message_size=50_000) as peer, anyio.create_task_group() as group:
        group.start_soon(peer.call, "echo", Text("beside it"), Text)
        error = await error_of(peer.reply("echo", Text("x" * 100_000)))
        assert error.code is Code.RESOURCE_EXHAUSTED, f"the error is {error!r}"
        await peer.call("echo", Text("after it"), Text)


async def _an_oversize_reply_fails_alone(bench: Bench) -> None:
    bench.needs_limit()
    async with bench.connected(max_message_size=50_000) as peer, anyio.create_task_group() as group:
        group.start_soon(peer.call, "echo", Text("beside it"), Text)
        error = await error_of(peer.reply("repeat", Number(100_000)))
        assert error.code is Code.RESOURCE_EXHAUSTED, f"the error is {error!r}"
        await peer.call("echo", Text("after it"), Text)


async def _a_served_plugin_is_healthy(bench: Bench) -> None:
    async with bench.connected() as peer:
        health = await peer.channel.probe()
        assert health.status is Status.HEALTHY, f"the health is {health}"


async def _where_nothing_answers_the_plugin_is_unavailable(bench: Bench) -> None:
    bench.needs_listeners()
    async with bench.served() as (transport, endpoint):
        pass

    async def attempt() -> None:
        async with transport.open(endpoint) as channel:
            await channel.call(Call(service=SERVICE, method="echo", payload=b"{}", deadline=anyio.current_time() + 5))

    error = await error_of(attempt())
    assert isinstance(error, Unavailable), f"expected Unavailable, got {error!r}"


async def _an_address_that_is_taken_is_unavailable(bench: Bench) -> None:
    bench.needs_listeners()
    async with bench.served() as (transport, endpoint):

        async def attempt() -> None:
            async with transport.listen(endpoint, Dispatcher([Contract()], catalog=load_catalog())):
                pass

        error = await error_of(attempt())
        assert isinstance(error, Unavailable), f"expected Unavailable, got {error!r}"


async def _a_left_listener_frees_its_address(bench: Bench) -> None:
    bench.needs_listeners()
    async with bench.served() as (transport, endpoint):
        pass
    dispatcher = Dispatcher([Contract()], catalog=load_catalog())
    with directory_as_before(endpoint):
        async with transport.listen(endpoint, dispatcher), transport.open(endpoint) as channel:
            await Peer(channel).call("echo", Text(), Text)


_CHECKS: tuple[Callable[[Bench], Awaitable[None]], ...] = (
    _a_reply_is_the_answer_to_its_own_request,
    _many_calls_are_in_flight_at_once,
    _a_slow_call_holds_up_no_other,
    _every_code_comes_back_with_message_and_details,
    _a_refusal_says_when_to_try_again,
    _an_unexpected_exception_is_internal_and_keeps_its_secrets,
    _an_unknown_method_is_unimplemented,
    _request_id_and_headers_travel_both_ways,
    _any_bytes_travel_with_their_content_type,
    _nobody_can_give_himself_an_identity,
    _the_plugin_sees_the_remaining_time,
    _a_native_deadline_ends_the_call,
    _cancellation_reaches_the_plugin,
    _closing_a_channel_ends_its_calls_at_once,
    _a_plugin_that_goes_away_ends_its_calls,
    _a_channel_whose_plugin_has_gone_says_so,
    _a_late_reply_reaches_nobody,
    _an_oversize_request_fails_alone,
    _an_oversize_reply_fails_alone,
    _a_served_plugin_is_healthy,
    _where_nothing_answers_the_plugin_is_unavailable,
    _an_address_that_is_taken_is_unavailable,
    _a_left_listener_frees_its_address,
)
