"""
The watch over one instance from a start to the next: it is probed, and whoever keeps it learns when its channel ends.

What lives here: waiting, and what is asked and told meanwhile. What must not: opening and closing (see `_owner`).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import checkpoint

from remora._calls._probing import probe
from remora._extensions._faults import is_fault
from remora._plain import shortened
from remora.errors import RemoraError, Unavailable
from remora.protocols import ReviewedChannel, WatchedChannel
from remora.types import ProgramReadmitted, ProgramRevoked

if TYPE_CHECKING:
    from collections.abc import Callable

    from remora._calls._instance import Instance
    from remora._calls._route import Route
    from remora.protocols import Channel


class Vigil:
    """
    One watch over an instance, which its owner keeps until it is interrupted.

    Args:
        route: The plugin.
        instance: The instance.
        transport: What to call its transport in messages.
        tell: Publishes an event about the instance.

    Attributes:
        is_interrupted: Whether the instance is to be closed.
    """

    def __init__(self, route: Route, instance: Instance, *, transport: str, tell: Callable[..., None]) -> None:
        self.is_interrupted = False
        self._route = route
        self._instance = instance
        self._transport = transport
        self._tell = tell
        self._wake = anyio.Event()
        self._probing: anyio.CancelScope | None = None

    def interrupt(self) -> None:
        """
        End it: whoever waits here goes on at once.
        """
        self.is_interrupted = True
        self._wake.set()
        if self._probing is not None:
            self._probing.cancel()

    async def until_ended(self, channel: Channel) -> RemoraError | None:
        """
        Wait until the channel has ended by itself, or is to be closed.
        """
        if not isinstance(channel, WatchedChannel | ReviewedChannel):
            await self._keep_probing()
            return None
        reason: list[RemoraError | None] = []

        async def watch(watched: WatchedChannel) -> None:
            ended = await watched.wait_closed()
            reason.append(ended if isinstance(ended, RemoraError) else Unavailable("the plugin closed the connection"))
            group.cancel_scope.cancel()

        async with anyio.create_task_group() as group:
            if isinstance(channel, WatchedChannel):
                group.start_soon(watch, channel)
            if isinstance(channel, ReviewedChannel):
                group.start_soon(self._tell_reviews, channel)
            await self._keep_probing()
            group.cancel_scope.cancel()
        return reason[0] if reason else None

    async def rest(self, seconds: float, *, is_wary: bool = False) -> None:
        """
        Wait for some seconds, or until the instance is to be closed, or, if `is_wary`, to be probed.
        """
        if self.is_interrupted:
            return
        self._wake = wake = anyio.Event()
        self._instance.doubt = wake if is_wary else None  # also woken when the configuration of the probes changes
        with anyio.move_on_after(seconds):
            await wake.wait()

    async def _tell_reviews(self, channel: ReviewedChannel) -> None:
        """
        Publish when the running program would no longer be allowed to start, and when it is allowed again.
        """
        try:
            while True:
                found = await channel.next_review()
                if found.reasons:
                    self._tell(ProgramRevoked, program=found.program, cause=shortened("; ".join(found.reasons)))
                else:
                    self._tell(ProgramReadmitted, program=found.program)
                await checkpoint()
        except BaseException as error:  # a transport may be a stranger's code
            if not is_fault(error):
                raise
            self._route.conduct.about(instance=self._instance.name).failed(self._transport, error)

    async def _keep_probing(self) -> None:
        """
        Probe the instance at intervals, and at once when calls give reason to doubt it, until it is to be closed.
        """
        instance = self._instance
        while not self.is_interrupted:
            now, wait = anyio.current_time(), math.inf
            if instance.config.health_check.enabled:
                with anyio.CancelScope() as self._probing:
                    await probe(self._route, instance)
                self._probing = None
                now, wait = anyio.current_time(), instance.condition.next_check()
                instance.next_try = now + wait
            await self.rest(wait, is_wary=True)
            if self._wake.is_set():
                soonest = now + min(wait, instance.condition.soonest_check())
                await self.rest(soonest - anyio.current_time())
