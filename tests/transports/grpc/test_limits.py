"""
Messages over the limit.
"""

from __future__ import annotations

from typing import Protocol

import anyio
import pytest

from remora import Call, Code, MessageTooLarge, RemoraError
from remora.config import ConnectionConfig
from remora.protocols import Channel, Transport
from remora_grpc.plugin import GrpcOptions, build

pytestmark = pytest.mark.anyio

LIMIT = 10_000


class Holding(Protocol):
    """
    What these tests need of the plugin: a call that is under way until it is released.
    """

    entered: anyio.Event
    released: anyio.Event


@pytest.fixture
def transport() -> Transport:
    """
    A transport with a small limit.
    """
    return build(GrpcOptions(max_message_size=LIMIT))


@pytest.fixture
def generous() -> Transport:
    """
    A transport with the usual limit.
    """
    return build(GrpcOptions())


async def test_message_of_just_the_limit_passes(transport, free, plugin):
    """
    The limit is the largest size that is allowed.
    """
    with anyio.fail_after(5):
        async with transport.listen(free, plugin) as listener, transport.open(listener.endpoint) as channel:
            reply = await channel.call(Call(service="s", method="m", payload=bytes(LIMIT)))

    assert LIMIT == len(reply.payload)


@pytest.mark.fault(33)
async def test_request_over_the_limit_is_not_sent(transport, free, plugin):
    """
    The caller's own limit is checked before anything leaves.
    """
    with anyio.fail_after(5):
        async with transport.listen(free, plugin) as listener, transport.open(listener.endpoint) as channel:
            await _assert_only_this_call_is_too_large(plugin, channel, "m", bytes(LIMIT + 1))

    assert [b"next"] == [call.payload for call in plugin.calls if call.method == "m"]


@pytest.mark.fault(33)
async def test_request_over_the_plugins_limit_is_refused_by_it(transport, generous, free, plugin):
    """
    The plugin's limit holds whatever its callers think, and others on the connection go on.
    """
    with anyio.fail_after(5):
        async with transport.listen(free, plugin) as listener, generous.open(listener.endpoint) as channel:
            await _assert_only_this_call_is_too_large(plugin, channel, "m", bytes(LIMIT + 1))


@pytest.mark.fault(33)
async def test_reply_over_the_plugins_limit_is_not_sent(transport, generous, free, plugin):
    """
    The caller learns why there is no reply.
    """
    with anyio.fail_after(5):
        async with transport.listen(free, plugin) as listener, generous.open(listener.endpoint) as channel:
            await _assert_only_this_call_is_too_large(plugin, channel, "grow", b"%d" % (LIMIT + 1))


@pytest.mark.fault(33)
async def test_reply_over_the_callers_limit_is_refused(transport, generous, free, plugin):
    """
    The caller's limit holds whatever the plugin thinks.
    """
    with anyio.fail_after(5):
        async with generous.listen(free, plugin) as listener, transport.open(listener.endpoint) as channel:
            await _assert_only_this_call_is_too_large(plugin, channel, "grow", b"%d" % (LIMIT + 1))


async def test_headers_are_bounded_and_not_by_lot(generous, free, plugin):
    """
    By default grpcio refuses some calls of between 8 and 16 KiB of metadata, and takes others.
    """
    with anyio.fail_after(10):
        async with generous.listen(free, plugin) as listener, generous.open(listener.endpoint) as channel:
            for number in range(20):
                headers = {"x-big": f"{number:014000}"}
                reply = await channel.call(Call(service="s", method="m", headers=headers))
                assert headers["x-big"] == reply.headers["x-big"]
            for _ in range(5):
                with pytest.raises(RemoraError) as caught:
                    await channel.call(Call(service="s", method="m", headers={"x-big": "x" * 20_000}))
                assert Code.RESOURCE_EXHAUSTED == caught.value.code

    assert 20 == sum(call.method == "m" for call in plugin.calls)


async def test_calls_above_the_streams_of_a_connection_wait(free, plugin):
    """
    Nobody is refused for having many under way.
    """
    narrow = build(GrpcOptions(max_concurrent_streams=2))
    replies = list[bytes]()

    async def ask(channel: Channel) -> None:
        replies.append((await channel.call(Call(service="s", method="m", payload=b"1"))).payload)

    with anyio.fail_after(10):
        async with narrow.listen(free, plugin) as listener, narrow.open(listener.endpoint) as channel:
            async with anyio.create_task_group() as tasks:
                for _ in range(50):
                    tasks.start_soon(ask, channel)

    assert [b"1"] * 50 == replies


async def _assert_only_this_call_is_too_large(plugin: Holding, channel: Channel, method: str, payload: bytes) -> None:
    held = list[bytes]()

    async def other() -> None:
        held.append((await channel.call(Call(service="s", method="hold"))).payload)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(other)
        await plugin.entered.wait()
        with pytest.raises(MessageTooLarge) as caught:
            await channel.call(Call(service="s", method=method, payload=payload))
        plugin.released.set()
    reply = await channel.call(Call(service="s", method="m", payload=b"next"))

    assert Code.RESOURCE_EXHAUSTED == caught.value.code
    assert ([b"held"], b"next") == (held, reply.payload)


async def test_numbers_beyond_those_of_grpcio_stand_for_its_largest(free, plugin):
    """
    Who wants no limit may write any number.
    """
    options = GrpcOptions(
        max_message_size=2**40,
        max_concurrent_streams=2**40,
        connection=ConnectionConfig(connection_timeout=1e12),
    )
    transport = build(options)
    with anyio.fail_after(5):
        async with transport.listen(free, plugin) as listener, transport.open(listener.endpoint) as channel:
            reply = await channel.call(Call(service="s", method="m", payload=b"x", deadline=1e18))

    assert b"x" == reply.payload
