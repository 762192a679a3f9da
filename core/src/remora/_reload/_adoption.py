"""
Moving a plugin to other endpoints that its resolver has reported: new instances take calls as soon as they are ready,
old ones are drained.

What lives here: the order of these steps. What must not: asking resolvers (see `_resolution`), and other changes (see
`_transition`).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from remora._calls._instance import State
from remora._fleet._closing import discard
from remora._fleet._readiness import is_ready, until_good
from remora.errors import RemoraError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from remora._fleet._assembly import Part
    from remora._fleet._fleet import Fleet
    from remora._fleet._generation import Generation
    from remora.config import ManagerConfig
    from remora.types import Endpoint

READY_WITHIN = 10.0
"""Seconds to wait for new instances before old ones are drained anyway, as long as any instance is ready."""


class Adoption:
    """
    One such move, in two steps, `begin` and `end`; other plugins may change in between.

    Args:
        fleet: The plugins.
        name: The plugin's name, which must be in the fleet.
        endpoints: Its new endpoints; at least one.

    Attributes:
        scope: Cancelled when this move gives way to another change.
    """

    def __init__(self, fleet: Fleet, name: str, endpoints: Sequence[Endpoint]) -> None:
        self.scope = anyio.CancelScope()
        self._fleet = fleet
        self._name = name
        self._endpoints = endpoints
        self._former = fleet[name]
        config = self._config()
        self._draft = fleet.draft(config.plugins[name], config, self._former)
        self._was_open = bool(self._former.parts) and not fleet.is_held(self._former) and not self._is_cut
        self._has_given_way = False

    def begin(self) -> bool:
        """
        Have the new instances opened.

        Returns:
            Whether they have to be ready before `end`.
        """
        if self._was_open:
            self._fleet.open(self._draft.plugged, self._draft.new)
        return self._was_open and bool(self._draft.gone)  # else nobody needs to be relieved

    async def until_ready(self) -> None:
        """
        Wait for the new instances, for a limited time; each takes calls as soon as it can.
        """
        with anyio.move_on_after(READY_WITHIN):
            async with anyio.create_task_group() as group:
                for part in self._draft.new:
                    group.start_soon(self._admit, part)

    def give_way(self) -> Iterable[Part]:
        """
        Leave the plugin as it was before, because another change is about to move it.

        Returns:
            What is left over, to be drained.
        """
        self._has_given_way = True
        self.scope.cancel()
        for part in self._draft.new:
            self._draft.plugged.exchange(None, part)
        return [part for part in self._draft.new if _let_go(part)]

    async def end(self) -> Iterable[Part]:
        """
        Put the endpoints in force.

        Returns:
            What is left over, to be drained.

        Raises:
            Unavailable: None of them can be reached; everything is as it was.
        """
        draft = self._draft
        if self._has_to_be_ready and not _is_any_ready(*draft.new, *draft.kept):
            await self._undo(draft)
        draft.settle()
        if not (self._was_open or self._is_cut or self._fleet.is_held(self._former)):
            self._fleet.open(draft.plugged, draft.new)
        self._fleet.accept(self._config())
        if self._is_cut:
            await self._leave_closed(draft)
        return [part for part in draft.gone if _let_go(part)]

    @property
    def _is_cut(self) -> bool:
        """
        Whether the plugin was closed by force, until it is restarted.
        """
        return self._former.route.is_cut

    @property
    def _has_to_be_ready(self) -> bool:
        """
        Whether the old endpoints stay in force unless one of the new ones can be reached.
        """
        return bool(self._was_open and self._draft.gone and self._draft.new) and not self._is_cut

    def _config(self) -> ManagerConfig:
        """
        The configuration in force, with the new endpoints of the plugin.
        """
        config = self._fleet.config
        plugin = replace(config.plugins[self._name], endpoint="", endpoints=tuple(self._endpoints))
        return replace(config, plugins={**config.plugins, self._name: plugin})

    async def _admit(self, part: Part) -> None:
        with suppress(RemoraError):  # its owner goes on trying
            await until_good(self._draft.plugged.route, part.instance)
            if not self._has_given_way:
                self._draft.plugged.exchange(part, None)

    async def _leave_closed(self, draft: Generation) -> None:
        """
        Let the new instances wait for a restart, as the others of the plugin do.
        """
        for part in draft.new:
            part.instance.cut()
        await discard(self._fleet, draft.new, "its plugin has been closed until a restart")

    async def _undo(self, draft: Generation) -> None:
        causes = "; ".join(f"{part.instance.name}: {part.instance.why_out()}" for part in draft.new)
        for part in draft.new:
            draft.plugged.exchange(None, part)
        await discard(self._fleet, draft.new, "none of the new endpoints can be reached")
        raise Unavailable(f"none of the new endpoints can be reached: {causes}", sent=False)


def _let_go(part: Part) -> bool:
    is_there = part.instance.state is not State.STOPPED
    if is_there:
        part.instance.retire()
    return is_there


def _is_any_ready(*parts: Part) -> bool:
    return any(is_ready(part.instance) for part in parts)
