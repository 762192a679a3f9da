"""
What goes away in a move: instances and plugins, each with the time that its calls have to end.

What lives here: who goes, and how many calls had no time to end. What must not: what comes instead (see `_transition`).
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from remora._closing import end, retire

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from remora._assembly import Part
    from remora._fleet import Fleet
    from remora._generation import Plugged
    from remora._instance import Instance


class Departures:
    """
    What one move does away with.

    Args:
        fleet: Where it is.
        timeout: Seconds that calls to it have to end.

    Attributes:
        cancelled: The calls that had not ended in time, by plugin.
    """

    def __init__(self, fleet: Fleet, timeout: float) -> None:
        self.cancelled = Counter[str]()
        self._fleet = fleet
        self._timeout = timeout
        self._leaving: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._seen: set[Instance] = set()

    async def retire(self, plugged: Plugged, part: Part) -> None:
        """
        See an instance off now; when this is cancelled, `finish` does the rest in the time that is left.
        """
        self._seen.add(part.instance)
        until = anyio.current_time() + self._timeout
        try:
            await self._retire(plugged, part, until)
        except BaseException:
            self._leaving.append(partial(self._retire, plugged, part, until))
            raise

    def leave(self, plugged: Plugged, part: Part) -> None:
        """
        Have an instance go with `finish`; from now on it takes no new calls.
        """
        if part.instance not in self._seen:
            self._seen.add(part.instance)
            part.instance.retire()
            self._leaving.append(partial(self._retire, plugged, part, anyio.current_time() + self._timeout))

    def leave_all(self, steps: Iterable[Iterable[Plugged]]) -> None:
        """
        Have whole plugins go with `finish`, one step after the other.
        """
        self._leaving.append(partial(self._end, steps))

    async def finish(self) -> None:
        """
        Let what goes away end its calls, and close it.
        """
        async with anyio.create_task_group() as group:
            for leave in self._leaving:
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
