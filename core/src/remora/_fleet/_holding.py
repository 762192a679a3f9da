"""
Plugins that are not opened until those that they require have been up.

What lives here: which plugins wait, and for which. What must not: opening them (see `_fleet._fleet`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remora._calls._change_of import change_of
from remora.errors import Unavailable

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from remora._fleet._fleet import Fleet
    from remora._fleet._generation import Plugged


class Holding:
    """
    The plugins of a fleet that wait for others.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._held: set[Plugged] = set()

    def __contains__(self, plugged: object) -> bool:
        return plugged in self._held

    def hold(self, plugged: Plugged, group: TaskGroup) -> None:
        """
        Start a task in a group that opens a plugin once all that it requires have been up.
        """
        if plugged not in self._held:
            self._held.add(plugged)
            group.start_soon(self._open_after, plugged)

    def rouse_required(self, plugged: Plugged) -> None:
        """
        Open the plugins that a plugin requires, if they wait for their first call.
        """
        for name in plugged.config.requires:
            if required := self._fleet.get(name):
                required.route.rouse()

    async def _open_after(self, plugged: Plugged) -> None:
        """
        Open a plugin once all that it requires have been up; reloads may change which those are.
        """
        if self._is_there(plugged):
            self.rouse_required(plugged)
        been_up: set[str] = set()
        while self._is_there(plugged) and (missing := self._missing(plugged, been_up)) is not None:
            supervisor, name = self._fleet.entered(), missing.config.name
            for part in plugged.parts:
                if part.instance not in supervisor:
                    part.instance.error = Unavailable(f"it waits for {name!r}, which it requires", sent=False)
            await change_of(plugged.route, missing.route)
        self._held.discard(plugged)
        if self._is_there(plugged):
            self._fleet.open(plugged, plugged.parts)

    def _is_there(self, plugged: Plugged) -> bool:
        return not self._fleet.is_closed and self._fleet.get(plugged.config.name) is plugged

    def _missing(self, plugged: Plugged, been_up: set[str]) -> Plugged | None:
        """
        The first plugin among those that a plugin requires that has not been up yet; None when there is none.
        """
        required = [there for name in plugged.config.requires if (there := self._fleet.get(name)) is not None]
        been_up |= {each.config.name for each in required if each.route.is_up}
        return next((each for each in required if each.config.name not in been_up), None)
