"""
Calls over a ttrpc connection between two ends of a socket pair.
"""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from remora import Call, Code, ConnectionLost, DeadlineExceeded, PluginError, Reply, Status
from remora.io import SocketPipe, TtrpcChannel, open_ttrpc, serve_ttrpc
from remora.protocols import Dispatch

pytestmark = pytest.mark.anyio


def socket_pair() -> tuple[SocketPipe, SocketPipe]:
    """
    Two connected pipes.
    """
    ours, theirs = socket.socketpair()
    return SocketPipe(ours), SocketPipe(theirs)


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
            await channel.call(Call(deadline=anyio.current_time() + 0.1))
        await cancelled.wait()

        assert 0 < seen[0] <= 0.1


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
                await theirs.receive()
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
