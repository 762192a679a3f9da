"""
Waiting for the last call of a plugin, or of one of its instances.

What lives here: the waits, and reports of their progress. What must not: what happens afterwards.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio

from remora._calls._change_of import change_of
from remora.policy import DrainProgress
from remora.types import DrainEnded, DrainProgressed

if TYPE_CHECKING:
    from collections.abc import Callable

    from remora._calls._instance import Instance
    from remora._calls._route import Route
    from remora.types import Event

    Tell = Callable[[DrainProgress], object]


class Drains:
    """
    All drains that are going on in a manager.
    """

    def __init__(self, publish: Callable[[Event], None]) -> None:
        self._publish = publish
        self._scopes: set[anyio.CancelScope] = set()
        self._is_hurried = False

    def hurry(self) -> None:
        """
        End all waits now, and let no later one begin.
        """
        self._is_hurried = True
        for scope in self._scopes:
            scope.cancel()

    async def run(
        self, route: Route, instance: Instance | None, timeout: float, tell: Tell | None = None, *, cause: str
    ) -> int:
        """
        Wait until no call is under way, or until the plugin takes new calls again.

        Args:
            route: The plugin.
            instance: One instance of it; None for the whole plugin.
            timeout: The longest wait, in seconds.
            tell: Called with the progress each time that a call has ended.
            cause: Why it is drained, for the events; there are no events without `tell` when no call is under way.

        Returns:
            How many calls are still under way.
        """
        drain = _Drain(route, instance, self._publish, tell, cause)
        if not drain.active and tell is None:
            return 0
        with anyio.move_on_after(0 if self._is_hurried else timeout) as scope:
            self._scopes.add(scope)
            try:
                await drain.until_idle()
            finally:
                self._scopes.discard(scope)
        drain.end()
        return drain.active


class _Drain:
    def __init__(
        self, route: Route, instance: Instance | None, publish: Callable[[Event], None], tell: Tell | None, cause: str
    ) -> None:
        self._route = route
        self._instance = instance
        self._publish = publish
        self._tell = tell
        self._cause = cause
        self._total = self._told = self.active
        self._since = anyio.current_time()

    @property
    def active(self) -> int:
        """
        How many calls are under way.
        """
        return self._route.calls.active if self._instance is None else self._instance.limit.in_use

    async def until_idle(self) -> None:
        """
        Wait until the last call has ended, or new calls are admitted again.
        """
        self._say()
        while self.active and not self._is_lifted():
            await change_of(self._route)
            if self.active != self._told:
                self._say()

    def end(self) -> None:
        """
        Publish how it ended.
        """
        self._publish_as(DrainEnded, self._progress())

    def _is_lifted(self) -> bool:
        return self._instance is None and self._route.is_open

    def _say(self) -> None:
        self._told = self.active
        progress = self._progress()
        self._publish_as(DrainProgressed, progress)
        if self._tell is not None:
            self._tell(progress)

    def _progress(self) -> DrainProgress:
        elapsed = anyio.current_time() - self._since
        return DrainProgress(total=self._total, remaining=self.active, elapsed=elapsed)

    def _publish_as(self, kind: type[DrainEnded | DrainProgressed], progress: DrainProgress) -> None:
        self._publish(
            kind(
                time=time.time(),
                plugin=self._route.name,
                instance=self._instance.name if self._instance else "",
                total=progress.total,
                remaining=progress.remaining,
                elapsed=progress.elapsed,
                cause=self._cause,
            )
        )
