"""
A transport that does nothing, so that only what is around it costs anything.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio

from remora import Call, HealthStatus, Reply, Status, TransportSpec, hookimpl
from remora.types import HealthChanged

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from remora.protocols import Channel, Dispatch, Listener
    from remora.types import Endpoint

PAYLOAD = b"x" * 100
CALL = Call(service="bench.v1.Null", method="Call", payload=PAYLOAD)
REPLY = Reply(payload=PAYLOAD)
PLENTY = 10**9
"""More calls than there will be."""


def host_of(balancer: str, *, instances: int = 3) -> dict[str, object]:
    """
    The configuration of a host with one plugin, `null`, and all policies.
    """
    return {
        "log_level": "warning",
        "plugins": {
            "null": {
                "endpoints": [{"url": f"null:{number}", "weight": 100} for number in range(instances)],
                "balancer": balancer,
                "connection": {"max_connections": 1000},
                "rate_limit": {"enabled": True, "requests_per_second": PLENTY, "burst_size": PLENTY},
            }
        },
    }


@dataclass(frozen=True)
class _Options:
    pass


class _Channel:
    async def call(self, call: Call, /) -> Reply:
        return REPLY

    async def probe(self) -> HealthStatus:
        return HealthStatus(status=Status.HEALTHY)


class _WaitingChannel(_Channel):
    def __init__(self, wait: Callable[[], Awaitable[object]]) -> None:
        self._wait = wait

    async def call(self, call: Call, /) -> Reply:
        await self._wait()
        return REPLY


class NullTransport:
    """
    The transport of endpoints such as `null:1`, as an extension.

    Args:
        wait: What a call does; by default it returns at once.
        opening: How many seconds it takes to open a channel.
        native_deadline: Whether it says that it ends calls at their deadlines, so that the pipeline need not.
    """

    def __init__(
        self,
        wait: Callable[[], Awaitable[object]] | None = None,
        opening: float = 0.0,
        *,
        native_deadline: bool = True,
    ) -> None:
        self._wait = wait
        self._opening = opening
        self._native_deadline = native_deadline
        self._awaited: set[str] = set()
        self._all_healthy = anyio.Event()

    @hookimpl
    def remora_event(self, event: object) -> None:
        """
        Note which plugins are healthy.
        """
        if isinstance(event, HealthChanged) and event.after is Status.HEALTHY:
            self._awaited.discard(event.plugin)
            if not self._awaited:
                self._all_healthy.set()

    @hookimpl
    def remora_register_transports(self) -> list[TransportSpec[_Options]]:
        """
        Register this.
        """
        build: Any = lambda _: self  # noqa: E731
        return [TransportSpec("null", ("null",), _Options, build, native_deadline=self._native_deadline)]

    @asynccontextmanager
    async def open(self, endpoint: Endpoint, /) -> AsyncIterator[Channel]:
        """
        A channel to nothing.
        """
        await anyio.sleep(self._opening)
        yield _Channel() if self._wait is None else _WaitingChannel(self._wait)

    def listen(self, endpoint: Endpoint, dispatch: Dispatch, /) -> AbstractAsyncContextManager[Listener]:
        """
        Nobody calls this.
        """
        raise NotImplementedError

    def expect(self, plugins: set[str]) -> None:
        """
        Name the plugins for which `until_healthy` waits.
        """
        self._awaited = plugins

    async def until_healthy(self) -> None:
        """
        Wait until each of them has been healthy.
        """
        await self._all_healthy.wait()
