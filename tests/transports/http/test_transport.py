"""
Client and server together, over real sockets.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import entry_points
from typing import Any, Literal

import anyio
import pytest

from remora.config import ConnectionConfig
from remora.errors import (
    Code,
    ConfigError,
    ConnectionLost,
    DeadlineExceeded,
    InvalidRequest,
    MessageTooLarge,
    PluginError,
    Unavailable,
)
from remora.protocols import Channel, Dispatch, Listener, Transport
from remora.testing import check_transport
from remora.types import Call, Endpoint, Reply, Status
from remora.wire import HEALTH_SERVICE, encode_health
from remora_http.plugin import Options, build, remora_register_transports
from tests.ports import deaf_port

pytestmark = pytest.mark.anyio


async def echo(call: Call, peer: str) -> Reply:
    """Answer with what was asked."""
    return Reply(payload=call.payload, content_type=call.content_type, headers=call.headers)


@pytest.mark.every_cell
def test_the_plugin_module_loads_nothing_heavy() -> None:
    """A program that never speaks HTTP does not pay for it."""
    heavy = "{'httpx', 'httptools', 'asyncio', 'trio', 'ssl'}"
    script = f"import sys, remora_http.plugin; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True, timeout=30)

    assert b"[]" == done.stdout.strip()


@pytest.mark.parametrize("engine", ["direct", "httpx"])
async def test_the_transport_keeps_the_contract(engine: Literal["direct", "httpx"]) -> None:
    """Like every transport, with either engine."""
    (spec,) = remora_register_transports()

    assert await check_transport(spec, Options(engine=engine))


@asynccontextmanager
async def connected(transport: Transport, dispatch: Dispatch) -> AsyncIterator[Channel]:
    """A channel to a plugin that is served for it."""
    async with transport.listen(Endpoint("http:"), dispatch) as listener, transport.open(listener.endpoint) as channel:
        yield channel


async def test_the_entry_point_leads_to_the_transport() -> None:
    """By its name, as the registry finds it."""
    (entry,) = entry_points(group="remora", name="http")

    assert remora_register_transports == entry.load().remora_register_transports
    assert next(iter(remora_register_transports())).schemes == ("http", "https", "http+unix")


async def test_a_call_and_its_reply_arrive_as_they_were_sent(transport: Transport) -> None:
    """Names, payload, headers, request id and peer."""
    seen: list[tuple[Call, str]] = []

    async def dispatch(call: Call, peer: str) -> Reply:
        seen.append((call, peer))
        return Reply(payload=b"[1]", headers={"x-back": "zurück"})

    call = Call(service="a.B", method="c", payload=b'{"x": 1}', headers={"x-one": "eins"}, request_id="r-1")
    with anyio.fail_after(5):
        async with connected(transport, dispatch) as channel:
            reply = await channel.call(call)

    assert (reply.payload, reply.content_type, reply.headers["x-back"]) == (b"[1]", "application/json", "zurück")
    arrived, peer = seen[0]
    assert (call.service, call.method, call.payload, call.content_type, call.request_id) == (
        arrived.service,
        arrived.method,
        arrived.payload,
        arrived.content_type,
        arrived.request_id,
    )
    assert arrived.headers["x-one"] == "eins"
    assert peer.startswith("127.0.0.1:")


async def test_binary_payloads_keep_their_content_type(transport: Transport) -> None:
    """Whatever a codec writes."""
    with anyio.fail_after(5):
        async with connected(transport, echo) as channel:
            reply = await channel.call(Call(payload=bytes(range(256)), content_type="application/msgpack"))

    assert (bytes(range(256)), "application/msgpack") == (reply.payload, reply.content_type)


async def test_an_error_arrives_with_its_details(transport: Transport) -> None:
    """Code, message, details, headers and the time to wait."""

    async def dispatch(call: Call, peer: str) -> Reply:
        details = {"user": "u1", "tries": [1, 2], "nested": {"ok": True, "none": None, "half": 0.5}}
        raise PluginError("no such user", code=Code.NOT_FOUND, details=details, headers={"x-why": "w"}, retry_after=7)

    with anyio.fail_after(5):
        async with connected(transport, dispatch) as channel:
            with pytest.raises(PluginError, match="no such user") as caught:
                await channel.call(Call())

    error = caught.value
    assert Code.NOT_FOUND is error.code
    assert error.details == {"user": "u1", "tries": [1, 2], "nested": {"ok": True, "none": None, "half": 0.5}}
    assert (error.headers["x-why"], error.retry_after) == ("w", 7.0)


async def test_an_unexpected_exception_stays_on_its_side(
    transport: Transport, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has it; the wire does not."""

    async def dispatch(call: Call, peer: str) -> Reply:
        raise ZeroDivisionError("secret")

    with anyio.fail_after(5):
        async with connected(transport, dispatch) as channel:
            with pytest.raises(PluginError) as caught:
                await channel.call(Call())

    assert Code.INTERNAL is caught.value.code
    assert "secret" not in repr(vars(caught.value))
    assert "secret" in caplog.text


async def test_a_header_that_nothing_can_carry_is_the_handlers_fault(transport: Transport) -> None:
    """The caller gets INTERNAL, or the code of the error; never a broken response."""

    async def dispatch(call: Call, peer: str) -> Reply:
        if call.method == "fail":
            raise PluginError("no", code=Code.ABORTED, headers={"x-a": "a\r\nb"})
        return Reply(headers={"x-a": "a\r\nb"})

    with anyio.fail_after(5):
        async with connected(transport, dispatch) as channel:
            with pytest.raises(PluginError) as replied:
                await channel.call(Call())
            with pytest.raises(PluginError) as failed:
                await channel.call(Call(method="fail"))

    assert (replied.value.code, failed.value.code) == (Code.INTERNAL, Code.ABORTED)


async def test_the_handler_sees_the_deadline(transport: Transport) -> None:
    """On its own clock; a call without one has none."""
    deadlines: list[float | None] = []

    async def dispatch(call: Call, peer: str) -> Reply:
        deadlines.append(call.deadline)
        return Reply()

    with anyio.fail_after(5):
        async with connected(transport, dispatch) as channel:
            deadline = anyio.current_time() + 60
            await channel.call(Call(deadline=deadline))
            await channel.call(Call())

    seen, none = deadlines
    assert seen is not None
    assert none is None
    assert deadline - 0.01 <= seen <= deadline + 4


async def test_a_deadline_that_has_passed_sends_nothing(transport: Transport) -> None:
    """And says so."""
    with anyio.fail_after(5):
        async with connected(transport, echo) as channel:
            with pytest.raises(DeadlineExceeded) as caught:
                await channel.call(Call(deadline=anyio.current_time() - 1))

    assert not caught.value.sent


@pytest.mark.fault(66)
async def test_a_header_with_a_line_break_is_refused(transport: Transport) -> None:
    """Before anything is sent."""
    with anyio.fail_after(5):
        async with connected(transport, echo) as channel:
            with pytest.raises(InvalidRequest, match="x-a"):
                await channel.call(Call(headers={"x-a": "1\r\nx-b: 2"}))
            with pytest.raises(InvalidRequest, match="x-request-id"):
                await channel.call(Call(request_id="1\r\nx-b: 2"))


async def test_a_cancelled_call_cancels_its_handler(transport: Transport) -> None:
    """And its connection never answers another call."""
    started, cancelled = anyio.Event(), anyio.Event()

    async def dispatch(call: Call, peer: str) -> Reply:
        if call.method != "wait":
            return Reply(payload=call.payload)
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    with anyio.fail_after(5):
        async with connected(transport, dispatch) as channel:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(channel.call, Call(method="wait"))
                await started.wait()
                tasks.cancel_scope.cancel()
            await cancelled.wait()
            replies = [(await channel.call(Call(payload=b"%d" % number))).payload for number in range(20)]

    assert [b"%d" % number for number in range(20)] == replies


@pytest.mark.fault(35, 36)
@pytest.mark.parametrize("engine", ["direct", "httpx"])
async def test_cancelling_at_any_moment_mixes_up_no_replies(engine: Literal["direct", "httpx"]) -> None:
    """However the cancellations fall, every reply is the one of its call."""
    transport = build(Options(engine=engine))
    with anyio.fail_after(20):
        async with connected(transport, echo) as channel:
            for number in range(60):
                with anyio.move_on_after(number * 0.0001):
                    await channel.call(Call(payload=b"lost %d" % number))
                reply = await channel.call(Call(payload=b"%d" % number))

                assert b"%d" % number == reply.payload


async def test_many_calls_are_in_flight_at_once(transport: Transport) -> None:
    """Each over a connection of its own; how many there may be is the host's to say."""
    running = highest = 0

    async def dispatch(call: Call, peer: str) -> Reply:
        nonlocal running, highest
        running, highest = running + 1, max(highest, running + 1)
        if running == 10:
            all_here.set()
        await all_here.wait()
        running -= 1
        return Reply(payload=call.payload)

    all_here = anyio.Event()
    limited = build(Options(connection=ConnectionConfig(max_connections=4)))
    replies = set[bytes]()

    async def ask(channel: Channel, number: int) -> None:
        replies.add((await channel.call(Call(payload=b"%d" % number))).payload)

    with anyio.fail_after(5):
        async with (
            transport.listen(Endpoint("http:"), dispatch) as listener,
            limited.open(listener.endpoint) as channel,
            anyio.create_task_group() as tasks,
        ):
            for number in range(10):
                tasks.start_soon(ask, channel, number)

    assert {b"%d" % number for number in range(10)} == replies
    assert highest == 10


@pytest.mark.fault(33)
async def test_an_oversize_message_hurts_nobody_else() -> None:
    """In either direction, on either side, while another call is under way."""
    small, large = build(Options(max_message_size=1000)), build(Options())
    release = anyio.Event()
    kept: list[Reply] = []

    async def dispatch(call: Call, peer: str) -> Reply:
        if call.method == "wait":
            await release.wait()
        return Reply(payload=b"x" * (3000 if call.method == "big" else 10))

    async def keep(channel: Channel) -> None:
        kept.append(await channel.call(Call(method="wait")))

    with anyio.fail_after(5):
        async with (
            small.listen(Endpoint("http:"), dispatch) as listener,
            small.open(listener.endpoint) as careful,
            large.open(listener.endpoint) as careless,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(keep, careful)
            with pytest.raises(MessageTooLarge) as unsent:
                await careful.call(Call(payload=b"x" * 1001))
            with pytest.raises(MessageTooLarge) as refused:
                await careless.call(Call(payload=b"x" * 1001))
            with pytest.raises(MessageTooLarge) as unanswered:
                await careless.call(Call(method="big"))
            release.set()

    assert not unsent.value.sent
    assert (refused.value.code, unanswered.value.code) == (Code.RESOURCE_EXHAUSTED, Code.RESOURCE_EXHAUSTED)
    assert kept[0].payload == b"x" * 10


@pytest.mark.fault(33)
async def test_an_oversize_reply_is_refused_while_it_arrives(transport: Transport) -> None:
    """The connection is given up, the channel is not."""
    small = build(Options(max_message_size=1000))

    async def dispatch(call: Call, peer: str) -> Reply:
        return Reply(payload=b"x" * (10_000_000 if call.method == "big" else 1000))

    with anyio.fail_after(5):
        async with transport.listen(Endpoint("http:"), dispatch) as listener, small.open(listener.endpoint) as channel:
            with pytest.raises(MessageTooLarge, match="1000"):
                await channel.call(Call(method="big"))
            reply = await channel.call(Call())

    assert len(reply.payload) == 1000


@pytest.mark.fault(11)
async def test_nobody_there_is_unavailable(transport: Transport) -> None:
    """And nothing was sent."""
    with (
        deaf_port() as port,
        anyio.fail_after(5),
        pytest.raises(Unavailable, match=f"{port} cannot be reached: .*refused") as caught,
    ):
        async with transport.open(Endpoint(f"http://127.0.0.1:{port}")):
            pass

    assert not caught.value.sent


async def test_a_server_that_has_gone_is_unavailable(transport: Transport) -> None:
    """Also for a channel that was open."""
    leave, left = anyio.Event(), anyio.Event()

    async def run(*, task_status: Any) -> None:
        async with transport.listen(Endpoint("http:"), echo) as listener:
            task_status.started(listener.endpoint)
            await leave.wait()
        left.set()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            async with transport.open(await tasks.start(run)) as channel:
                await channel.call(Call())
                leave.set()
                await left.wait()
                with pytest.raises(Unavailable, match="refused") as called:
                    await channel.call(Call())
                with pytest.raises(Unavailable):
                    await channel.probe()

    assert not isinstance(called.value, ConnectionLost)
    assert not called.value.sent


async def test_leaving_the_channel_ends_its_calls_and_takes_no_more(transport: Transport) -> None:
    """Whoever still holds it is told."""
    started = anyio.Event()
    errors: list[ConnectionLost] = []

    async def dispatch(call: Call, peer: str) -> Reply:
        started.set()
        await anyio.sleep_forever()
        raise AssertionError

    async def ask(channel: Channel) -> None:
        for _ in range(2):
            with pytest.raises(ConnectionLost) as caught:
                await channel.call(Call())
            errors.append(caught.value)

    with anyio.fail_after(5):
        async with (
            transport.listen(Endpoint("http:"), dispatch) as listener,
            anyio.create_task_group() as tasks,
            transport.open(listener.endpoint) as channel,
        ):
            tasks.start_soon(ask, channel)
            await started.wait()

    assert [True, False] == [error.sent for error in errors]


async def test_leaving_the_listener_ends_its_calls_at_once(transport: Transport) -> None:
    """The handler is cancelled, the caller is told, the address is free."""
    started, cancelled = anyio.Event(), anyio.Event()
    errors: list[PluginError] = []

    async def dispatch(call: Call, peer: str) -> Reply:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    async def ask(endpoint: Endpoint) -> None:
        async with transport.open(endpoint) as channel:
            with pytest.raises(PluginError) as caught:
                await channel.call(Call())
            errors.append(caught.value)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            async with transport.listen(Endpoint("http:"), dispatch) as listener:
                tasks.start_soon(ask, listener.endpoint)
                await started.wait()
            await cancelled.wait()
        async with transport.listen(listener.endpoint, echo) as again:
            assert listener.endpoint == again.endpoint

    assert Code.UNAVAILABLE is errors[0].code


@pytest.mark.fault(30)
async def test_a_client_that_says_nothing_does_not_hold_up_the_end(transport: Transport) -> None:
    """Half a request is no reason to wait."""
    with anyio.fail_after(5):
        async with transport.listen(Endpoint("http:"), echo) as listener:
            host, port = listener.endpoint.address.split(":")
            idle, stuck = await anyio.connect_tcp(host, int(port)), await anyio.connect_tcp(host, int(port))
            await stuck.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nab")
            await anyio.wait_all_tasks_blocked()
        await idle.aclose()
        await stuck.aclose()


@pytest.mark.fault(42)
async def test_an_address_that_is_taken_is_unavailable(transport: Transport) -> None:
    """It may be free later."""
    with anyio.fail_after(5):
        async with transport.listen(Endpoint("http:"), echo) as listener:
            with pytest.raises(Unavailable, match="taken"):
                async with transport.listen(listener.endpoint, echo):
                    pass


@pytest.mark.parametrize("url", ["http://192.0.2.1:0", "https:", "http://:x"])
async def test_an_address_that_cannot_be_served_is_an_error_of_the_configuration(
    transport: Transport, url: str
) -> None:
    """Not one's own, without a certificate, or nonsense."""
    with anyio.fail_after(5), pytest.raises(ConfigError):
        async with transport.listen(Endpoint(url), echo):
            pass


async def test_an_error_inside_the_context_of_a_listener_comes_out_as_it_is(transport: Transport) -> None:
    """And not in a group."""
    with anyio.fail_after(5), pytest.raises(KeyError):
        async with transport.listen(Endpoint("http:"), echo):
            raise KeyError("mine")


async def test_a_listener_under_a_path_is_called_under_it(transport: Transport) -> None:
    """Its endpoint says so."""
    seen: list[Call] = []

    async def dispatch(call: Call, peer: str) -> Reply:
        seen.append(call)
        return Reply()

    with anyio.fail_after(5):
        async with (
            transport.listen(Endpoint("http://127.0.0.1:0/api/v1"), dispatch) as listener,
            transport.open(listener.endpoint) as channel,
        ):
            await channel.call(Call())
            await channel.call(Call(service="a.B", method="c"))

    assert listener.endpoint.url.endswith("/api/v1")
    assert [(call.service, call.method) for call in seen] == [("", ""), ("a.B", "c")]


async def test_cancelling_the_server_ends_it(transport: Transport) -> None:
    """Within its context, also while it has a call."""
    started = anyio.Event()

    async def dispatch(call: Call, peer: str) -> Reply:
        started.set()
        await anyio.sleep_forever()
        raise AssertionError

    async def run(*, task_status: Any) -> None:
        async with transport.listen(Endpoint("http:"), dispatch) as listener:
            task_status.started(listener)
            await listener.wait_closed()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            listener: Listener = await tasks.start(run)
            async with transport.open(listener.endpoint) as channel, anyio.create_task_group() as calls:
                calls.start_soon(channel.call, Call())
                await started.wait()
                calls.cancel_scope.cancel()
            tasks.cancel_scope.cancel()


async def test_a_connection_is_used_again_or_not_as_configured(transport: Transport) -> None:
    """`keep_alive` decides."""
    peers: list[str] = []

    async def dispatch(call: Call, peer: str) -> Reply:
        peers.append(peer)
        return Reply()

    once = build(Options(connection=ConnectionConfig(keep_alive=False)))
    with anyio.fail_after(5):
        async with transport.listen(Endpoint("http:"), dispatch) as listener:
            for client in (transport, once):
                async with client.open(listener.endpoint) as channel:
                    await channel.call(Call())
                    await channel.call(Call())

    first, second, third, fourth = peers
    assert first == second
    assert third != fourth


@pytest.mark.parametrize(("status", "expected"), [(Status.HEALTHY, Status.HEALTHY), (Status.OFFLINE, Status.UNHEALTHY)])
async def test_a_probe_asks_the_health_service(transport: Transport, status: Status, expected: Status) -> None:
    """In protobuf, as any peer would."""

    async def dispatch(call: Call, peer: str) -> Reply:
        assert call.service == HEALTH_SERVICE
        return Reply(payload=encode_health(status), content_type=call.content_type)

    with anyio.fail_after(5):
        async with connected(transport, dispatch) as channel:
            assert expected is (await channel.probe()).status


async def test_a_plugin_without_a_health_service_is_healthy(transport: Transport) -> None:
    """While it can be reached."""

    async def dispatch(call: Call, peer: str) -> Reply:
        raise PluginError("no such method", code=Code.UNIMPLEMENTED)

    with anyio.fail_after(5):
        async with connected(transport, dispatch) as channel:
            assert Status.HEALTHY is (await channel.probe()).status
