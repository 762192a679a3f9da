"""
When queued frames are written.
"""

from __future__ import annotations

import socket

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora.io import SocketPipe
from remora.io._outbox import Outbox

pytestmark = pytest.mark.anyio


@given(steps=st.lists(st.booleans(), max_size=60))
async def test_fewer_requests_wait_than_the_peer_has(steps: list[bool]) -> None:
    """
    Whether a step begins a call or ends the oldest one that the peer has; so the peer works while others are prepared.
    """
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    calls: dict[int, None] = {}
    at_peer: list[int] = []
    outbox = Outbox(SocketPipe(ours), calls)
    with ours, theirs:
        for number, begins in enumerate(steps, start=1):
            if begins:
                calls[number] = None
                had, waiting = len(at_peer), len(calls) - len(at_peer)
                outbox.put(bytes((number,)), number)
                at_peer += received(theirs)
                assert (waiting >= had) == (len(at_peer) > had)
                assert list(calls) == at_peer or len(calls) - len(at_peer) < len(at_peer)
            elif at_peer:
                del calls[at_peer.pop(0)]


async def test_answers_to_many_requests_are_written_together() -> None:
    """
    The outbox of a server does not know how many requests there are.
    """
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    outbox = Outbox(SocketPipe(ours))
    with ours, theirs:
        outbox.put(b"a")
        outbox.put(b"b")
        assert b"" == received(theirs)


async def test_a_lone_frame_is_written_at_once_and_overtakes_none() -> None:
    """
    The next one waits for the end of the step, unless another has arrived alone.
    """
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    outbox = Outbox(SocketPipe(ours))
    with anyio.fail_after(5), ours, theirs:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(outbox.write)
            await anyio.wait_all_tasks_blocked()
            for frame, now in [(b"a", b"a"), (b"b", b"b")]:
                outbox.may_send_now = True
                outbox.put(frame)
                assert now == received(theirs)
            outbox.put(b"c")
            outbox.may_send_now = True
            outbox.put(b"d")
            assert b"" == received(theirs)
            await outbox.settle()
            assert b"cd" == received(theirs)
            tasks.cancel_scope.cancel()


@pytest.mark.parametrize("is_begun", [True, False])
async def test_a_frame_that_the_socket_takes_a_part_of_is_completed_first(is_begun: bool) -> None:
    """
    It cannot be taken back, and is waited for; what is behind it can be. The writer may have begun, or begins then.
    """
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    outbox, found = Outbox(SocketPipe(ours)), bytearray()

    async def read() -> None:
        while not found.endswith(b"."):
            await anyio.wait_readable(theirs)
            found.extend(theirs.recv(1 << 20))

    with anyio.fail_after(5), ours, theirs:
        async with anyio.create_task_group() as tasks:
            if is_begun:
                tasks.start_soon(outbox.write)
                await anyio.wait_all_tasks_blocked()
            outbox.may_send_now = True
            outbox.put((b"head", bytes(4 << 20), b"tail"), 1)
            outbox.may_send_now = True
            outbox.put(b"b", 2)
            assert [False, True] == [outbox.withdraw(1), outbox.withdraw(2)]
            if not is_begun:
                tasks.start_soon(outbox.write)
            async with anyio.create_task_group() as readers:
                readers.start_soon(read)
                await outbox.settle()
                assert len(found) > 1 << 20
                outbox.put(b".")
            tasks.cancel_scope.cancel()

    assert b"head" + bytes(4 << 20) + b"tail." == found


async def test_a_frame_of_which_the_socket_takes_nothing_waits_and_can_be_taken_back() -> None:
    """
    However alone it is.
    """
    ours, theirs = socket.socketpair()
    outbox, size = Outbox(SocketPipe(ours)), 0
    theirs.setblocking(False)
    with anyio.fail_after(5), ours, theirs:
        with pytest.raises(BlockingIOError):
            while True:
                size += ours.send(bytes(1 << 16))
        for number in (1, 2):
            outbox.may_send_now = True
            outbox.put(b"%d" % number, number)
            assert number == 2 or outbox.withdraw(number)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(outbox.write)
            while size:
                size -= len(theirs.recv(size))
            await outbox.settle()
            tasks.cancel_scope.cancel()
        assert b"2" == received(theirs)


class Plain:
    """
    A pipe that is no socket; it takes one piece at each turn.
    """

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.turn = anyio.Event()

    async def send(self, item: bytes) -> None:
        """
        Remember it, and wait for the turn.
        """
        self.sent.append(item)
        await self.turn.wait()

    async def receive(self) -> bytes:
        """
        Nothing arrives.
        """
        raise anyio.EndOfStream

    async def aclose(self) -> None:
        """
        Nothing is open.
        """


def length(pieces: list[bytes]) -> list[int]:
    """
    How long some pieces are.
    """
    return [len(each) for each in pieces]


async def test_a_pipe_that_is_no_socket_gets_256_kib_at_once_and_a_larger_frame_alone() -> None:
    """
    Frames of one step go together; one that has not been written can be taken back.
    """
    pipe, most, settled = Plain(), 256 * 1024, anyio.Event()
    outbox = Outbox(pipe)
    outbox.may_send_now = True  # to a socket

    async def settle() -> None:
        await outbox.settle()
        settled.set()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(outbox.write)
            await anyio.wait_all_tasks_blocked()
            outbox.put(b"a")
            outbox.put((b"b", b"c", b"d"))
            tasks.start_soon(settle)
            await anyio.wait_all_tasks_blocked()
            assert [b"abcd"] == pipe.sent
            assert not settled.is_set()

            for number, size in enumerate((most - 2, 2, 1, 5, most, most + 1, 3), start=1):
                outbox.put(bytes(size), number)
            assert [True, False, False] == [outbox.withdraw(4), outbox.withdraw(4), outbox.withdraw(8)]
            pipe.turn.set()
            await outbox.settle()
            assert [4, most, 1, most, most + 1, 3] == length(pipe.sent)
            assert not outbox.withdraw(7)
            tasks.cancel_scope.cancel()


async def test_more_is_not_read_while_8_mib_wait() -> None:
    """
    A byte more is too much; what waits for room goes on when so much has been written, and settles with the rest.
    """
    pipe, steps = Plain(), list[str]()
    outbox = Outbox(pipe)
    outbox.put(b"a")
    outbox.put(bytes((8 << 20) - 1))
    assert outbox.hold() is None
    outbox.put(b"b", 1)
    assert outbox.hold() is not None
    assert outbox.withdraw(1)
    assert outbox.hold() is None
    outbox.put(b"c")
    wait = outbox.hold()
    assert wait is not None

    async def read() -> None:
        await wait()
        steps.append(f"room beside {len(pipe.sent)}")
        await outbox.settle()
        steps.append("settled")

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            assert [] == steps
            tasks.start_soon(outbox.write)
            await anyio.wait_all_tasks_blocked()
            assert ["room beside 1"] * 2 == steps
            pipe.turn.set()
            await anyio.wait_all_tasks_blocked()
            assert ["room beside 1"] * 2 + ["settled"] * 2 == steps

            pipe.turn = anyio.Event()
            outbox.put(bytes(8 << 20))
            assert outbox.hold() is None
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            outbox.put(bytes((8 << 20) + 1))
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            assert ["room beside 4"] == steps[4:]
            pipe.turn.set()
            await anyio.wait_all_tasks_blocked()
            assert ["room beside 5", "settled", "settled"] == sorted(steps[5:])
            tasks.cancel_scope.cancel()


async def test_nobody_waits_for_what_is_given_up() -> None:
    """
    The writer has ended, and something is still in the queue.
    """
    pipe = Plain()
    outbox, writer = Outbox(pipe), anyio.CancelScope()

    async def write() -> None:
        with writer:
            await outbox.write()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            outbox.put(b"a")
            tasks.start_soon(write)
            tasks.start_soon(outbox.settle)
            await anyio.wait_all_tasks_blocked()
            outbox.put(b"b")
            writer.cancel()
        await outbox.settle()

    assert [b"a"] == pipe.sent


def received(peer: socket.socket) -> bytes:
    """
    What has arrived.
    """
    try:
        return peer.recv(1000)
    except BlockingIOError:
        return b""
