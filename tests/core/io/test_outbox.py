"""
When queued frames are written.
"""

from __future__ import annotations

import socket

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
                outbox.put(bytes((number,)), number)
                at_peer += received(theirs)
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


def received(peer: socket.socket) -> bytes:
    """
    What has arrived.
    """
    try:
        return peer.recv(1000)
    except BlockingIOError:
        return b""
