"""
Calls over a ttrpc connection between two ends of a socket pair.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest

from remora import (
    Call,
    Code,
    ConnectionLost,
    DeadlineExceeded,
    InvalidReply,
    InvalidRequest,
    MessageTooLarge,
    PluginError,
    Reply,
    Status,
)
from remora.io import TtrpcChannel, open_ttrpc, serve_ttrpc
from remora.protocols import Dispatch
from remora.wire import (
    CANCEL,
    REQUEST,
    RESPONSE,
    Frame,
    FrameDecoder,
    StreamTable,
    decode_response,
    encode_frame,
    encode_reply,
    encode_request,
)
from tests.core.io.pipes import socket_pair
from tests.core.io.ttrpc_peer import Peer, channel_to_peer

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def connected(dispatch: Dispatch, *, max_message_size: int = 1 << 20) -> AsyncIterator[TtrpcChannel]:
    """
    A channel whose calls `dispatch` answers.
    """
    ours, theirs = socket_pair()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: serve_ttrpc(theirs, dispatch, "test", max_message_size=max_message_size))
            async with open_ttrpc(ours, max_message_size=max_message_size) as channel:
                yield channel


@asynccontextmanager
async def peer_to_server(dispatch: Dispatch, *, max_message_size: int = 1000) -> AsyncIterator[Peer]:
    """
    By hand, the client of a server that answers with `dispatch`.
    """
    ours, theirs = socket_pair()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: serve_ttrpc(theirs, dispatch, "test", max_message_size=max_message_size))
            yield Peer(ours)
            await ours.aclose()


async def echo(call: Call, peer: str) -> Reply:
    """
    A plugin that answers with what it was asked.
    """
    if call.service.startswith("grpc.health"):
        raise PluginError("no such service", code=Code.UNIMPLEMENTED)
    return Reply(payload=call.payload, content_type=call.content_type, headers=call.headers)


async def test_a_reply_brings_payload_format_and_headers() -> None:
    """
    What a call carries comes back.
    """
    async with connected(echo) as channel:
        reply = await channel.call(Call(service="a.B", method="C", payload=b"{}", headers={"x-tenant": "acme"}))

        assert Reply(payload=b"{}", content_type="application/json", headers={"x-tenant": "acme"}) == reply


async def test_many_calls_are_in_flight_and_end_in_any_order() -> None:
    """
    The first call ends last.
    """
    gates = {str(i).encode(): anyio.Event() for i in range(100)}
    arrived: list[bytes] = []
    ended: list[bytes] = []

    async def dispatch(call: Call, peer: str) -> Reply:
        arrived.append(call.payload)
        if len(arrived) == len(gates):
            gates[b"99"].set()
        await gates[call.payload].wait()
        return Reply(payload=call.payload)

    async def one(channel: TtrpcChannel, payload: bytes) -> None:
        reply = await channel.call(Call(payload=payload))
        ended.append(reply.payload)
        previous = str(int(payload) - 1).encode()
        if previous in gates:
            gates[previous].set()

    async with connected(dispatch) as channel, anyio.create_task_group() as tasks:
        for payload in gates:
            tasks.start_soon(one, channel, payload)

    assert list(reversed(gates)) == ended


async def test_an_error_keeps_code_message_and_details() -> None:
    """
    The plugin's no arrives as it was said.
    """

    async def dispatch(call: Call, peer: str) -> Reply:
        raise PluginError("no such user", code=Code.NOT_FOUND, details={"id": 7}, headers={"x-shard": "3"})

    async with connected(dispatch) as channel:
        with pytest.raises(PluginError) as caught:
            await channel.call(Call())

        assert (Code.NOT_FOUND, "no such user") == (caught.value.code, caught.value.message)
        assert {"id": 7} == caught.value.details
        assert {"x-shard": "3"} == caught.value.headers


async def test_a_deadline_ends_the_call_and_the_handler() -> None:
    """
    The handler sees the remaining time, and is cancelled.
    """
    seen: list[float] = []
    cancelled = anyio.Event()

    async def dispatch(call: Call, peer: str) -> Reply:
        assert call.deadline is not None
        seen.append(call.deadline - anyio.current_time())
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    async with connected(dispatch) as channel:
        with pytest.raises(DeadlineExceeded):
            await channel.call(Call(deadline=anyio.current_time() + 0.5))
        await cancelled.wait()

        assert 0 < seen[0] <= 0.5


async def test_a_cancelled_call_cancels_its_handler() -> None:
    """
    Cancellation travels, and the connection goes on.
    """
    started, cancelled = anyio.Event(), anyio.Event()

    async def dispatch(call: Call, peer: str) -> Reply:
        if call.payload:
            return Reply(payload=call.payload)
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    async with connected(dispatch) as channel:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(channel.call, Call())
            await started.wait()
            tasks.cancel_scope.cancel()
        await cancelled.wait()

        assert b"x" == (await channel.call(Call(payload=b"x"))).payload


@pytest.mark.fault(1, 29)
async def test_a_lost_connection_fails_all_calls_at_once() -> None:
    """
    Calls in flight end when the peer goes away, and so does `wait_closed`.
    """
    ours, theirs = socket_pair()
    failures: list[ConnectionLost] = []

    async def one(channel: TtrpcChannel) -> None:
        with pytest.raises(ConnectionLost) as caught:
            await channel.call(Call())
        failures.append(caught.value)

    with anyio.fail_after(5):
        async with open_ttrpc(ours) as channel:
            async with anyio.create_task_group() as tasks:
                for _ in range(10):
                    tasks.start_soon(one, channel)
                peer = Peer(theirs)
                for _ in range(10):
                    await peer.frame()
                await theirs.aclose()

            assert [True] * 10 == [failure.sent for failure in failures]
            assert isinstance(await channel.wait_closed(), ConnectionLost)
            with pytest.raises(ConnectionLost) as caught:
                await channel.call(Call())
            assert not caught.value.sent


async def test_a_peer_without_a_health_service_is_healthy() -> None:
    """
    UNIMPLEMENTED means reachable.
    """
    async with connected(echo) as channel:
        assert Status.HEALTHY == (await channel.probe()).status


async def test_the_holders_own_error_leaves_the_context_unwrapped() -> None:
    """
    No group is raised for it.
    """
    ours, theirs = socket_pair()
    with pytest.raises(KeyError):
        async with open_ttrpc(ours):
            raise KeyError("mine")
    await theirs.aclose()


async def test_numbers_are_odd_and_rise_on_the_wire_under_many_callers() -> None:
    """
    Whatever order the callers run in.
    """
    async with channel_to_peer() as (channel, peer), anyio.create_task_group() as tasks:
        for _ in range(200):
            tasks.start_soon(channel.call, Call())
        numbers = [(await peer.frame()).stream_id for _ in range(200)]
        await peer.send(*(encode_frame(number, RESPONSE) for number in reversed(numbers)))

    assert list(range(1, 400, 2)) == numbers


@pytest.mark.fault(36, 37)
async def test_a_cancelled_call_sends_one_cancel_frame_and_its_late_reply_is_dropped() -> None:
    """
    The next call gets its own reply.
    """
    async with channel_to_peer() as (channel, peer):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(channel.call, Call())
            await peer.frame()
            tasks.cancel_scope.cancel()

        assert Frame(1, CANCEL, b"") == await peer.frame()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(expect_payload, channel, b"three")
            await peer.frame()
            await peer.send(answer(1, b"late"), answer(3, b"three"), answer(3, b"again"), answer(99, b"never asked"))


async def test_a_deadline_sends_a_cancel_frame() -> None:
    """
    The earliest deadline wakes the timer, though it was added last.
    """
    async with channel_to_peer() as (channel, peer):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(channel.call, Call(deadline=anyio.current_time() + 100))
            await peer.frame()
            with pytest.raises(DeadlineExceeded, match="does it speak ttrpc"):
                await channel.call(Call(deadline=anyio.current_time() + 0.05))
            tasks.cancel_scope.cancel()
        await peer.frame()

        assert {Frame(1, CANCEL, b""), Frame(3, CANCEL, b"")} == {await peer.frame(), await peer.frame()}


async def test_a_handler_ends_at_its_deadline_though_nobody_cancels_it() -> None:
    """
    Foreign peers know no cancel frame; they get a status.
    """

    async def hang(call: Call, peer: str) -> Reply:
        await anyio.sleep_forever()
        raise AssertionError

    async with peer_to_server(hang) as peer:
        await peer.send(encode_frame(1, REQUEST, encode_request(Call(deadline=0.05), 0.0)))
        error = decode_response((await peer.frame()).message, "")

    assert isinstance(error, DeadlineExceeded)


@pytest.mark.only_on("asyncio")  # on trio nobody gets it
async def test_a_call_that_the_plugin_itself_cancels_is_answered_and_alone() -> None:
    """
    Who waits for a cancelled task of his own gets what looks like a cancellation from outside.
    """

    async def stray(call: Call, peer: str) -> Reply:
        if call.method == "stray":
            other = asyncio.ensure_future(asyncio.sleep(60))
            other.cancel()
            await other
        return await echo(call, peer)

    async with connected(stray) as channel:
        with pytest.raises(PluginError, match="was cancelled by the plugin") as caught:
            await channel.call(Call(service="s", method="stray"))
        assert b"x" == (await channel.call(Call(payload=b"x"))).payload

    assert Code.INTERNAL == caught.value.code


async def test_large_and_small_messages_in_flight_together_stay_whole() -> None:
    """
    However often a write has to wait for the peer.
    """
    async with connected(echo) as channel:

        async def one(number: int) -> None:
            for turn in range(20):
                payload = bytes([number]) * (1 + 40_000 * ((turn + number) % 9))
                reply = await channel.call(Call(payload=payload, headers={"x-number": str(number)}))
                assert payload == reply.payload
                assert {"x-number": str(number)} == reply.headers

        async with anyio.create_task_group() as tasks:
            for number in range(20):
                tasks.start_soon(one, number)


async def test_a_call_whose_time_is_over_is_not_sent() -> None:
    """
    The error says so.
    """
    async with channel_to_peer() as (channel, _):
        with pytest.raises(DeadlineExceeded) as caught:
            await channel.call(Call(deadline=anyio.current_time() - 1))

        assert not caught.value.sent


@pytest.mark.fault(31)
async def test_calls_that_a_stuck_peer_never_read_are_known_as_unsent() -> None:
    """
    A call behind a full socket is withdrawn at its deadline, and no cancel frame is needed for it.
    """
    ours, theirs = socket_pair()
    sent: list[bool] = []

    async def one(channel: TtrpcChannel) -> None:
        with pytest.raises(DeadlineExceeded) as caught:
            await channel.call(Call(payload=bytes(3 << 20), deadline=anyio.current_time() + 0.5))
        sent.append(caught.value.sent)

    with anyio.fail_after(5):
        async with open_ttrpc(ours) as channel, anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(one, channel)
    await theirs.aclose()

    assert [False] * 4 + [True] == sorted(sent)


@pytest.mark.fault(31)
async def test_of_calls_that_are_written_together_only_those_count_as_sent_that_the_socket_took() -> None:
    """
    At least their first byte.
    """
    ours, theirs = socket_pair()
    decoder, sent = FrameDecoder(), 0

    async def one(channel: TtrpcChannel) -> None:
        nonlocal sent
        with pytest.raises(DeadlineExceeded) as caught:
            await channel.call(Call(payload=bytes(50_000), deadline=anyio.current_time() + 0.3))
        sent += caught.value.sent

    with anyio.fail_after(5):
        async with open_ttrpc(ours) as channel, anyio.create_task_group() as tasks:
            for _ in range(200):
                tasks.start_soon(one, channel)
        with pytest.raises(anyio.EndOfStream):
            while True:
                decoder.feed(await theirs.receive())
                while decoder.next_frame() is not None:
                    sent -= 1
    await theirs.aclose()

    assert 1 - decoder.is_between_frames == sent


async def test_unknown_frames_are_skipped_by_both_sides() -> None:
    """
    For the sake of later versions.
    """
    unknown = encode_frame(1, 0x42, b"future")
    async with channel_to_peer() as (channel, peer), anyio.create_task_group() as tasks:
        tasks.start_soon(expect_payload, channel, b"x")
        await peer.frame()
        await peer.send(unknown, answer(1, b"x"))
    async with peer_to_server(echo) as peer:
        await peer.send(unknown, request(1, b"y"))

        assert b"y" == reply_in(await peer.frame()).payload


@pytest.mark.fault(33)
async def test_an_oversize_request_is_refused_before_it_is_sent() -> None:
    """
    The connection goes on.
    """
    async with connected(echo, max_message_size=1000) as channel:
        with pytest.raises(MessageTooLarge) as caught:
            await channel.call(Call(payload=bytes(1001)))

        assert not caught.value.sent
        assert b"x" == (await channel.call(Call(payload=b"x"))).payload


@pytest.mark.fault(33)
async def test_an_oversize_request_fails_alone_at_the_server() -> None:
    """
    Others on the same connection are answered.
    """
    async with peer_to_server(echo) as peer:
        await peer.send(request(1, b"before"), request(3, bytes(5000)), request(5, b"after"))
        answers = {frame.stream_id: decode_response(frame.message, "") for frame in [await peer.frame() for _ in "123"]}

    error = answers.pop(3)
    assert isinstance(error, MessageTooLarge)
    assert {1: b"before", 5: b"after"} == {number: payload_of(reply) for number, reply in answers.items()}


@pytest.mark.fault(33)
async def test_an_oversize_reply_becomes_a_status() -> None:
    """
    The server keeps the limit for what it sends, too.
    """

    async def dispatch(call: Call, peer: str) -> Reply:
        return Reply(payload=bytes(5000))

    async with connected(dispatch, max_message_size=1000) as channel:
        with pytest.raises(MessageTooLarge, match="the reply is larger than 1000 bytes"):
            await channel.call(Call())


@pytest.mark.fault(33)
async def test_an_oversize_reply_fails_alone_at_the_client() -> None:
    """
    A peer with a larger limit sends more than this side takes.
    """
    async with channel_to_peer() as (channel, peer), anyio.create_task_group() as tasks:

        async def expect_too_large() -> None:
            with pytest.raises(MessageTooLarge):
                await channel.call(Call())

        tasks.start_soon(expect_too_large)
        await peer.frame()
        tasks.start_soon(expect_payload, channel, b"x")
        await peer.frame()
        await peer.send(answer(1, bytes(5000)), answer(3, b"x"))


@pytest.mark.fault(32)
async def test_a_reply_that_is_no_message_fails_its_call_only() -> None:
    """
    The frame was in order.
    """
    async with channel_to_peer() as (channel, peer), anyio.create_task_group() as tasks:

        async def expect_invalid() -> None:
            with pytest.raises(InvalidReply):
                await channel.call(Call())

        tasks.start_soon(expect_invalid)
        await peer.frame()
        await peer.send(encode_frame(1, RESPONSE, b"\xff\xff"))


@pytest.mark.fault(32)
async def test_a_request_that_is_no_message_is_answered_with_an_error() -> None:
    """
    And so are numbers that no client may use.
    """

    async def hang(call: Call, peer: str) -> Reply:
        await anyio.sleep_forever()
        raise AssertionError

    async with peer_to_server(hang) as peer:
        await peer.send(encode_frame(1, REQUEST, b"\xff\xff"), request(2, b""), request(3, b""), request(3, b""))
        answers = [await peer.frame() for _ in range(3)]

    assert [1, 2, 3] == [frame.stream_id for frame in answers]
    errors = [decode_response(frame.message, "") for frame in answers]
    assert [Code.INVALID_ARGUMENT] * 3 == [error.code for error in errors if isinstance(error, PluginError)]


async def test_what_is_no_text_cannot_be_sent() -> None:
    """
    The caller hears it as a mistake of the request.
    """
    async with channel_to_peer() as (channel, _):
        with pytest.raises(InvalidRequest):
            await channel.call(Call(headers={"x": "\udc80"}))


async def test_a_handlers_accident_is_internal_and_says_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """
    It is logged where it happened.
    """

    async def dispatch(call: Call, peer: str) -> Reply:
        raise RuntimeError("the password is 123")

    async with connected(dispatch) as channel:
        with pytest.raises(PluginError) as caught:
            await channel.call(Call())

    assert Code.INTERNAL is caught.value.code
    assert "password" not in str(caught.value)
    assert "password" in caplog.text


async def test_handlers_end_when_the_connection_is_lost() -> None:
    """
    Nobody would hear their answers.
    """
    cancelled = 0
    started = anyio.Event()

    async def dispatch(call: Call, peer: str) -> Reply:
        nonlocal cancelled
        if call.payload == b"9":
            started.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled += 1
        raise AssertionError

    async with peer_to_server(dispatch) as peer:
        await peer.send(*(request(2 * i + 1, str(i).encode()) for i in range(10)))
        await started.wait()

    assert 10 == cancelled


@pytest.mark.fault(35)
async def test_a_sweep_of_cancellations_leaves_nothing_behind() -> None:
    """
    Calls cancelled at every stage, from not yet written to just answered; then the connection still works.
    """
    running = 0

    async def dispatch(call: Call, peer: str) -> Reply:
        nonlocal running
        running += 1
        try:
            for _ in range(int(call.payload)):
                await anyio.lowlevel.checkpoint()
        finally:
            running -= 1
        return Reply(payload=call.payload)

    async with connected(dispatch) as channel:
        deadline = anyio.current_time() + 100
        for steps in range(40):
            async with anyio.create_task_group() as tasks:
                for length in range(10):
                    tasks.start_soon(channel.call, Call(payload=str(length).encode(), deadline=deadline))
                for _ in range(steps):
                    await anyio.lowlevel.checkpoint()
                tasks.cancel_scope.cancel()
        assert b"0" == (await channel.call(Call(payload=b"0"))).payload
        while running:
            await anyio.lowlevel.checkpoint()

        assert 0 == len(channel._streams)


@pytest.mark.fault(34)
async def test_a_connection_whose_numbers_are_used_up_asks_to_be_replaced() -> None:
    """
    The last call is answered, the next is refused unsent, and the channel ends.
    """
    ours, theirs = socket_pair()
    peer = Peer(theirs)
    channel = TtrpcChannel(ours, streams=StreamTable(first=(1 << 31) - 1))
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(channel.read)
            tasks.start_soon(channel.write)
            async with anyio.create_task_group() as callers:
                callers.start_soon(expect_payload, channel, b"last")
                frame = await peer.frame()
                with pytest.raises(ConnectionLost) as caught:
                    await channel.call(Call())
                await peer.send(answer(frame.stream_id, b"last"))

            assert not caught.value.sent
            assert await channel.wait_closed() is None
            await channel.aclose()
            tasks.cancel_scope.cancel()
    await theirs.aclose()


async def test_a_quiet_close_by_the_peer_is_no_error() -> None:
    """
    `wait_closed` says None.
    """
    async with channel_to_peer() as (channel, peer):
        await peer.pipe.aclose()

        assert await channel.wait_closed() is None


@pytest.mark.fault(31)
async def test_a_peer_that_does_not_read_its_replies_is_not_read_either() -> None:
    """
    The server's queue is bounded; when the peer reads again, everything arrives.
    """
    arrived = 0

    async def dispatch(call: Call, peer: str) -> Reply:
        nonlocal arrived
        arrived += 1
        return Reply(payload=call.payload)

    async def ask(peer: Peer) -> None:
        for number in range(1, 80, 2):
            await peer.send(request(number, bytes(1_000_000)))

    async with peer_to_server(dispatch, max_message_size=1 << 20) as peer, anyio.create_task_group() as tasks:
        tasks.start_soon(ask, peer)
        while arrived < 8:
            await anyio.lowlevel.checkpoint()
        await anyio.wait_all_tasks_blocked()
        arrived_while_stuck = arrived
        answers = [await peer.frame() for _ in range(40)]

    assert arrived_while_stuck < 20
    assert 40_000_000 == sum(len(reply_in(frame).payload) for frame in answers)


async def test_a_reply_that_is_being_sent_reaches_its_caller_though_the_plugin_ends() -> None:
    """
    It has been answered; the calls that are not are cancelled.
    """
    answered, cancelled = anyio.Event(), anyio.Event()

    async def dispatch(call: Call, peer: str) -> Reply:
        if not call.payload:
            try:
                await anyio.sleep_forever()
            finally:
                cancelled.set()
        answered.set()
        return Reply(payload=call.payload)

    ours, theirs = socket_pair()
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: serve_ttrpc(theirs, dispatch, "test", max_message_size=1 << 22))
            peer = Peer(ours)
            await peer.send(request(1, b""), request(3, bytes(3_000_000)))
            await answered.wait()
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                frame = await peer.frame()
                with pytest.raises(anyio.EndOfStream):
                    await peer.frame()
        await ours.aclose()

    assert (3, 3_000_000) == (frame.stream_id, len(reply_in(frame).payload))
    assert cancelled.is_set()


def answer(number: int, payload: bytes) -> bytes:
    """
    A response frame.
    """
    return encode_frame(number, RESPONSE, encode_reply(Reply(payload=payload)))


def request(number: int, payload: bytes) -> bytes:
    """
    A request frame.
    """
    return encode_frame(number, REQUEST, encode_request(Call(payload=payload), 0.0))


def reply_in(frame: Frame) -> Reply:
    """
    The reply in a response frame.
    """
    reply = decode_response(frame.message, "")
    assert isinstance(reply, Reply)
    return reply


def payload_of(reply: object) -> bytes:
    """
    What a reply carries.
    """
    assert isinstance(reply, Reply)
    return reply.payload


async def expect_payload(channel: TtrpcChannel, payload: bytes) -> None:
    """
    One call that is answered so.
    """
    assert payload == (await channel.call(Call())).payload
