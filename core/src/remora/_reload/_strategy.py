"""
How one plugin moves to its next generation: the order of opening and closing, by strategy.

What lives here: the strategies. What must not: which plugins move, and what follows from that (see `_transition`).
"""

from __future__ import annotations

from functools import partial
from itertools import zip_longest
from typing import TYPE_CHECKING

import anyio

from remora._fleet._readiness import open_all
from remora.errors import RemoraError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

    from remora._fleet._assembly import Part
    from remora._fleet._fleet import Fleet
    from remora._fleet._generation import Generation, Plugged
    from remora._reload._departures import Departures
    from remora.reload import ReloadOptions

    Pair = tuple[Part | None, Part | None]


class Strategy:
    """
    The strategy of one move, for each of its plugins.

    Args:
        fleet: The plugins.
        options: The strategy, and its time limits.
        departures: What drains and closes old instances.

    Attributes:
        touched: By plugin, the generations of which some instances are already in force.
    """

    def __init__(self, fleet: Fleet, options: ReloadOptions, departures: Departures) -> None:
        self.touched: dict[str, Generation] = {}
        self._fleet = fleet
        self._options = options
        self._departures = departures
        self._places = anyio.Semaphore(options.max_concurrent_reloads)

    async def open(self, draft: Generation) -> None:
        """
        Open the new parts of a plugin; old ones may be closed before or after.

        Raises:
            RemoraError: One of them does not become ready.
        """
        if draft.is_first or not (draft.new or draft.gone):
            await self.ready(draft.plugged, draft.new)
        else:
            await _STRATEGIES[self._options.strategy](self, draft)

    async def ready(self, plugged: Plugged, parts: Iterable[Part]) -> None:
        """
        Open parts of a plugin, and wait until they can take calls.

        Raises:
            RemoraError: One of them cannot.
        """
        await open_all(self._fleet, plugged, parts, limit=self._options.health_check_timeout)

    async def _graceful(self, draft: Generation) -> None:
        await self.ready(draft.plugged, draft.new)

    async def _rolling(self, draft: Generation) -> None:
        """
        Instance by instance: a new one replaces an old one; old ones that are left over go last.
        """
        self.touched[draft.config.name] = draft
        pairs = list(zip_longest(draft.new, draft.gone))
        await self._each(partial(self._exchange, draft), [pair for pair in pairs if pair[0] is not None])
        await self._each(partial(self._exchange, draft), [pair for pair in pairs if pair[0] is None])

    async def _exchange(self, draft: Generation, pair: Pair) -> None:
        new, old = pair
        if new is not None:
            await self.ready(draft.plugged, [new])
        draft.plugged.exchange(new, old)
        if old is not None:
            await self._departures.retire(draft.plugged, old)

    async def _recreate(self, draft: Generation) -> None:
        """
        Close the old ones first: calls wait for the new ones.
        """
        self.touched[draft.config.name] = draft
        draft.settle()
        for part in draft.gone:
            await self._departures.retire(draft.plugged, part)
        await self.ready(draft.plugged, draft.new)

    async def _each(self, act: Callable[[Pair], Awaitable[None]], pairs: Iterable[Pair]) -> None:
        """
        Act on pairs, several at once; the first error is raised after those that had begun have ended.
        """
        errors: list[RemoraError] = []

        async def one(pair: Pair) -> None:
            async with self._places:
                if errors:
                    return
                try:
                    await act(pair)
                except RemoraError as error:
                    errors.append(error)

        async with anyio.create_task_group() as group:
            for pair in pairs:
                group.start_soon(one, pair)
        if errors:
            raise errors[0]


_STRATEGIES: Mapping[str, Callable[[Strategy, Generation], Awaitable[None]]] = {
    "graceful": Strategy._graceful,
    "rolling": Strategy._rolling,
    "recreate": Strategy._recreate,
}
