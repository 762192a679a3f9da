"""
A caller who is alone on a connection, and those who come after it. On trio it reads its reply itself.
"""

from __future__ import annotations

from functools import partial

import anyio
import pytest

from remora import Call, ConnectionLost, DeadlineExceeded, Reply
from remora.io import TtrpcChannel
from remora.io._turn import Reader
from remora.wire import CANCEL, REQUEST, RESPONSE, encode_frame, encode_reply
from tests.core.io.ttrpc_peer import Peer, channel_to_peer

pytestmark = pytest.mark.anyio

_CALL = Call(service="a.B", method="C", payload=b"1")
_ANSWER = encode_reply(Reply(payload=b"{}"))


async def _answer(peer: Peer) -> None:
    frame = await peer.frame()
    assert REQUEST == frame.kind
    await peer.send(encode_frame(frame.stream_id, RESPONSE, _ANSWER))


async def _be_alone(channel: TtrpcChannel, peer: Peer, backend: str) -> None:
    """
    One call from its start to its end; the next one finds nobody who reads.
    """
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_answer, peer)
        await channel.call(_CALL)
    if "trio" in backend:
        assert channel._lone is not None
        assert Reader.NOBODY is channel._lone._turn.reader


async def test_a_second_caller_is_answered_while_the_first_still_waits(anyio_backend_name: str) -> None:
    """
    And the other way round: whoever reads reads for both, and goes on being replaced.
    """
    for order in ((0, 1), (1, 0)):
        async with channel_to_peer() as (channel, peer):
            await _be_alone(channel, peer, anyio_backend_name)
            ended: list[int] = []

            async def call(number: int, channel: TtrpcChannel = channel, ended: list[int] = ended) -> None:
                await channel.call(_CALL)
                ended.append(number)

            async with anyio.create_task_group() as tasks:
                numbers = []
                for number in (0, 1):
                    tasks.start_soon(call, number)
                    numbers.append((await peer.frame()).stream_id)
                for number in order:
                    await peer.send(encode_frame(numbers[number], RESPONSE, _ANSWER))
                    await anyio.wait_all_tasks_blocked()
                    if "trio" in anyio_backend_name:  # on asyncio no task reads, so none is waited for
                        assert number in ended, "the reading was not handed on at once"

            assert sorted(ended) == [0, 1]
            await _be_alone(channel, peer, "")


async def test_a_lone_caller_that_is_cancelled_leaves_the_connection_to_the_next(anyio_backend_name: str) -> None:
    """
    Somebody reads again, also for one who was waiting already.
    """
    async with channel_to_peer() as (channel, peer):
        await _be_alone(channel, peer, anyio_backend_name)
        async with anyio.create_task_group() as tasks:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as lone:
                    lone.start_soon(channel.call, _CALL)
                    await peer.frame()
                    tasks.start_soon(channel.call, _CALL)
                    second = await peer.frame()
                    scope.cancel()
            assert CANCEL == (await peer.frame()).kind
            await peer.send(encode_frame(second.stream_id, RESPONSE, _ANSWER))

        await _be_alone(channel, peer, anyio_backend_name)


async def test_a_lone_call_ends_at_its_deadline_and_the_next_is_answered(anyio_backend_name: str) -> None:
    """
    Though nothing arrives that could wake who reads.
    """
    async with channel_to_peer() as (channel, peer):
        await _be_alone(channel, peer, anyio_backend_name)
        with pytest.raises(DeadlineExceeded):
            await channel.call(Call(service="a.B", method="C", deadline=anyio.current_time() + 0.05))
        assert [REQUEST, CANCEL] == [(await peer.frame()).kind for _ in range(2)]

        await _be_alone(channel, peer, "")


@pytest.mark.parametrize("is_calling", [True, False])
async def test_a_peer_that_goes_away_is_noticed_whoever_reads(anyio_backend_name: str, is_calling: bool) -> None:
    """
    By the caller who is alone, and where nobody has called.
    """
    async with channel_to_peer() as (channel, peer):
        await _be_alone(channel, peer, anyio_backend_name)
        if is_calling:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(partial(_expect_loss, channel))
                await peer.frame()
                await peer.pipe.aclose()
        else:
            await peer.pipe.aclose()

        assert is_calling is (await channel.wait_closed() is not None)


async def test_a_channel_is_closed_under_a_lone_caller(anyio_backend_name: str) -> None:
    """
    The call fails at once.
    """
    async with channel_to_peer() as (channel, peer), anyio.create_task_group() as tasks:
        await _be_alone(channel, peer, anyio_backend_name)
        tasks.start_soon(_expect_loss, channel)
        await peer.frame()
        await channel.aclose()


async def _expect_loss(channel: TtrpcChannel) -> None:
    with pytest.raises(ConnectionLost):
        await channel.call(_CALL)
