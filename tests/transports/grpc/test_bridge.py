"""
The way between the caller's loop and grpcio's, on both backends.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora import Call, Unavailable
from remora_grpc._bridge import open_bridge
from remora_grpc._loop import Mailbox

pytestmark = pytest.mark.anyio


async def test_result_and_error_come_back():
    """
    What the coroutine returns or raises is what `run` returns or raises.
    """

    async def add(left: int, right: int) -> int:
        return left + right

    async def fail() -> None:
        raise KeyError("mine")

    with anyio.fail_after(5):
        async with open_bridge() as bridge:
            answer = await bridge.run(add, 1, 2)
            with pytest.raises(KeyError, match="mine"):
                await bridge.run(fail)

    assert 3 == answer


async def test_cancelled_request_is_cancelled_on_the_other_side():
    """
    The coroutine sees the cancellation, and the bridge can be used afterwards.
    """
    ended = threading.Event()
    started = threading.Event()

    async def hang() -> None:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    async def nothing() -> None: ...

    with anyio.fail_after(5):
        async with open_bridge() as bridge:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(bridge.run, hang)
                await anyio.to_thread.run_sync(started.wait, 5)
                tasks.cancel_scope.cancel()
            while not ended.is_set():
                await bridge.run(nothing)

    assert ended.is_set()


async def test_answers_run_on_the_callers_loop():
    """
    A coroutine on grpcio's loop waits for one in the thread of the caller.
    """

    async def here(number: int) -> tuple[int, int]:
        await anyio.lowlevel.checkpoint()
        return number, threading.get_ident()

    with anyio.fail_after(5):
        async with open_bridge(serving=True) as bridge:
            answer = await bridge.run(bridge.answer, here, 7)

    assert (7, threading.get_ident()) == answer


async def test_error_of_an_answer_comes_back():
    """
    What the handler raises reaches whoever waits on grpcio's loop.
    """

    async def here() -> None:
        raise KeyError("mine")

    with anyio.fail_after(5):
        async with open_bridge(serving=True) as bridge:
            with pytest.raises(KeyError, match="mine"):
                await bridge.run(bridge.answer, here)


async def test_cancellation_passes_both_ways():
    """
    Cancelling an request that waits for an answer cancels the answer.
    """
    entered, left = anyio.Event(), anyio.Event()

    async def here() -> None:
        entered.set()
        try:
            await anyio.sleep_forever()
        finally:
            left.set()

    with anyio.fail_after(5):
        async with open_bridge(serving=True) as bridge:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(bridge.run, bridge.answer, here)
                await entered.wait()
                tasks.cancel_scope.cancel()
            await left.wait()


async def test_many_requests_and_answers_at_once():
    """
    No wake-up is lost in either direction.
    """
    got = set[int]()

    async def here(number: int) -> int:
        await anyio.lowlevel.checkpoint()
        return number

    with anyio.fail_after(20):
        async with open_bridge(serving=True) as bridge:

            async def one(number: int) -> None:
                got.add(await bridge.run(bridge.answer, here, number))

            async with anyio.create_task_group() as tasks:
                for number in range(1000):
                    tasks.start_soon(one, number)

    assert set(range(1000)) == got


async def test_bridges_share_one_thread(transport, free, plugin):
    """
    However many channels and servers there are, there is at most one background thread.
    """
    with anyio.fail_after(10):
        async with (
            transport.listen(free, plugin) as listener,
            transport.open(listener.endpoint) as one,
            transport.open(listener.endpoint) as two,
        ):
            await one.call(Call(service="s", method="m"))
            await two.call(Call(service="s", method="m"))
            names = [thread.name for thread in threading.enumerate() if thread.name == "remora-grpc"]

    assert len(names) <= 1


async def test_channels_come_and_go(transport, free, plugin):
    """
    The background thread starts again for the next user.
    """
    with anyio.fail_after(20):
        for _ in range(10):
            async with transport.listen(free, plugin) as listener, transport.open(listener.endpoint) as channel:
                await channel.call(Call(service="s", method="m"))


@pytest.mark.fault(35)
async def test_cancelling_at_any_moment_leaves_nothing_behind(transport, free, plugin):
    """
    Opening, calling and closing can be cancelled at every step.
    """

    async def work(endpoint: object) -> None:
        try:
            async with transport.open(endpoint) as channel:
                for _ in range(3):
                    await channel.call(Call(service="s", method="m"))
        except Unavailable:
            pass

    with anyio.fail_after(30):
        async with transport.listen(free, plugin) as listener:
            for steps in range(40):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(work, listener.endpoint)
                    for _ in range(steps):
                        await anyio.lowlevel.checkpoint()
                    tasks.cancel_scope.cancel()
            await work(listener.endpoint)


class _Loop:
    """
    A loop that runs what it was woken for when the test says so.
    """

    def __init__(self) -> None:
        self.woken = deque[Callable[[], None]]()

    def turn(self) -> None:
        while self.woken:
            self.woken.popleft()()


@given(st.lists(st.sampled_from(["post", "turn", "post from a message"])))
def test_mailbox_delivers_every_message_once_and_in_order(steps: list[str]):
    """
    Whatever the order of posts and turns of the loop, nothing is lost, and one wake-up is enough.
    """
    loop, seen, posted = _Loop(), list[int](), 0
    mailbox = Mailbox(loop.woken.append)
    for step in steps:
        if step == "turn":
            loop.turn()
            continue
        number, posted = posted, posted + 1
        if step == "post":
            mailbox.post(lambda number=number: seen.append(number))
        else:
            mailbox.post(lambda number=number: mailbox.post(lambda: seen.append(number)))
        assert len(loop.woken) == 1
    loop.turn()

    assert list(range(posted)) == sorted(seen)
    assert not loop.woken
