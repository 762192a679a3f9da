"""
The other end of a ttrpc connection, by hand.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from remora.io import SocketPipe, TtrpcChannel, open_ttrpc
from remora.wire import Frame, FrameDecoder, Oversize
from tests.core.io.pipes import socket_pair


class Peer:
    """
    The other end by hand: sends and sees single frames.
    """

    def __init__(self, pipe: SocketPipe) -> None:
        self.pipe = pipe
        self.decoder = FrameDecoder()

    async def send(self, *frames: bytes) -> None:
        """
        Write bytes.
        """
        await self.pipe.send(b"".join(frames))

    async def frame(self) -> Frame:
        """
        The next frame.
        """
        while (frame := self.decoder.next_frame()) is None:
            self.decoder.feed(await self.pipe.receive())
        assert not isinstance(frame, Oversize)
        return frame


@asynccontextmanager
async def channel_to_peer() -> AsyncIterator[tuple[TtrpcChannel, Peer]]:
    """
    A channel, and by hand the server that it is connected to.
    """
    ours, theirs = socket_pair()
    with anyio.fail_after(10):
        async with open_ttrpc(ours, max_message_size=1000) as channel:
            yield channel, Peer(theirs)
        await theirs.aclose()
