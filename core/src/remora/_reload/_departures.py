"""
What is removed in a move: instances and plugins, each with the time that its calls have to end.

What lives here: what goes, and how many calls were cut off. What must not: what comes instead (see `_transition`).
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from remora._fleet._closing import end, retire

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from remora._calls._instance import Instance
    from remora._fleet._assembly import Part
    from remora._fleet._fleet import Fleet
    from remora._fleet._generation import Plugged


class Departures:
    """
    The instances and plugins that one move removes.

    Args:
        fleet: The plugins.
        timeout: Seconds that calls under way have to end.

    Attributes:
        cancelled: The number of calls that had not ended in time, by plugin.
    """

    def __init__(self, fleet: Fleet, timeout: float) -> None:
        self.cancelled = Counter[str]()
        self._fleet = fleet
        self._timeout = timeout
        self._pending: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._departing: set[Instance] = set()
        """Also those that have gone: each is retired only once."""

    async def retire(self, plugged: Plugged, part: Part) -> None:
        """
        Drain and close an instance now; when this is cancelled, `finish` does the rest in the time that is left.
        """
        self._departing.add(part.instance)
        until = anyio.current_time() + self._timeout
        try:
            await self._retire(plugged, part, until)
        except BaseException:
            self._pending.append(partial(self._retire, plugged, part, until))
            raise

    def leave(self, plugged: Plugged, part: Part) -> None:
        """
        Have `finish` close an instance, which takes no new calls from now on.
        """
        if part.instance not in self._departing:
            self._departing.add(part.instance)
            part.instance.retire()
            self._pending.append(partial(self._retire, plugged, part, anyio.current_time() + self._timeout))

    def leave_all(self, steps: Iterable[Iterable[Plugged]]) -> None:
        """
        Have `finish` close whole plugins, one step after the other.
        """
        self._pending.append(partial(self._end, steps))

    async def finish(self) -> None:
        """
        Let calls under way end, and close what is to go.
        """
        async with anyio.create_task_group() as group:
            for leave in self._pending:
                group.start_soon(leave)

    async def _retire(self, plugged: Plugged, part: Part, until: float) -> None:
        timeout = max(0.0, until - anyio.current_time())
        self.cancelled[plugged.config.name] += await retire(self._fleet, plugged, part, timeout)

    async def _end(self, steps: Iterable[Iterable[Plugged]]) -> None:
        async def leave(plugged: Plugged) -> None:
            self.cancelled[plugged.config.name] += await end(self._fleet, plugged, self._timeout)

        for step in steps:
            async with anyio.create_task_group() as group:
                for plugged in step:
                    group.start_soon(leave, plugged)
