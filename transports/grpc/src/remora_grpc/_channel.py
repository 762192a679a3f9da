"""
The caller's side: a channel to one plugin.

What lives here: the channel, as the host uses it. What must not: grpcio (see `_client`).
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from remora.errors import DeadlineExceeded, Unavailable
from remora.io import loop_clock, probe_health
from remora_grpc._bridge import Bridge, open_bridge

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
    from typing import Any

    from remora.errors import RemoraError
    from remora.types import Call, HealthStatus, Reply
    from remora_grpc._client import Client

    Explain = Callable[[], Awaitable[RemoraError | None]]

_CLOSE_TIMEOUT = 5.0
_LONGEST = 1e9
"""Seconds of a call, a few decades; grpcio takes times beyond what its clock can show for ones that are over."""


class GrpcChannel:
    """
    A channel to one plugin. When its connection breaks, the next call makes a new one.
    """

    def __init__(self, bridge: Bridge, client: Client) -> None:
        self._bridge = bridge
        self._client = client
        self._clock = loop_clock()

    def call(self, call: Call, /) -> Coroutine[Any, Any, Reply]:
        """
        Carry one call to the plugin and its reply back.

        Raises:
            RemoraError: It ended with an error.
        """
        remaining = None if call.deadline is None else min(_LONGEST, call.deadline - self._clock())
        if remaining is not None and remaining <= 0:
            raise DeadlineExceeded("the time for the call was over before it was sent", sent=False)
        return self._bridge.run(self._client.invoke, call, remaining)

    async def probe(self) -> HealthStatus:
        """
        Ask the plugin how it is, by the standard health service.

        Raises:
            RemoraError: It cannot be reached.
        """
        return await probe_health(self.call)


@asynccontextmanager
async def open_channel(
    client: Client, connection_timeout: float, explain: Explain | None = None
) -> AsyncIterator[GrpcChannel]:
    """
    A channel with a connection that stands.

    Args:
        client: Its part on grpcio's loop.
        connection_timeout: Seconds for the connection.
        explain: Finds out more about a connection that was refused; None when there is no more.

    Raises:
        Unavailable: Nothing answers.
        WrongProtocol: Something else answers.
    """
    async with open_bridge() as bridge:
        try:
            try:
                await bridge.run(client.connect, connection_timeout)
            except Unavailable as error:
                better = await explain() if explain is not None else None
                raise (better or error) from error.__cause__
            yield GrpcChannel(bridge, client)
        finally:
            with anyio.move_on_after(_CLOSE_TIMEOUT, shield=True):
                await bridge.run(client.close)
