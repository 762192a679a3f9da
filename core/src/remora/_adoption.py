"""
Other endpoints for one plugin, because its resolver has told so: what is new takes calls as soon as it is ready, what
is gone is drained.

What lives here: the order of that. What must not: asking resolvers (see `_resolution`), and other changes (see
`_transition`).
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from remora._instance import State
from remora._readiness import until_good
from remora.errors import RemoraError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from remora._assembly import Part
    from remora._fleet import Fleet
    from remora._generation import Generation, Plugged
    from remora.config import ManagerConfig
    from remora.types import Endpoint

READY_WITHIN = 10.0
"""Seconds that new instances may take before old ones are let go without them, as long as any instance is ready."""


class Adoption:
    """
    One such change.

    Args:
        fleet: The plugins.
        name: The plugin's name; it is in the fleet.
        endpoints: Where it is now; at least one.
    """

    def __init__(self, fleet: Fleet, name: str, endpoints: Sequence[Endpoint]) -> None:
        self._fleet = fleet
        self._former = fleet[name]
        self._config = _with_endpoints(fleet.config, name, endpoints)
        self._draft = fleet.draft(self._config.plugins[name], self._config, self._former)

    async def run(self) -> Iterable[Part]:
        """
        Put the endpoints in force.

        Returns:
            What is left over, to be drained.

        Raises:
            Unavailable: Nothing can be reached there; everything is as it was.
        """
        draft = self._draft
        if self._former.parts and not self._fleet.is_held(self._former):
            self._fleet.open(draft.plugged, draft.new)
            if draft.gone:  # else nobody needs to be relieved
                await self._until_ready()
            draft.settle()
        else:
            draft.settle()
            if not self._fleet.is_held(self._former):
                self._fleet.open(draft.plugged, draft.new)
        self._fleet.accept(self._config)
        return [part for part in draft.gone if _let_go(part)]

    async def _until_ready(self) -> None:
        """
        Wait for what is new; each takes calls as soon as it can.

        Raises:
            Unavailable: Without the old ones, nothing would take any.
        """
        draft = self._draft
        with anyio.move_on_after(READY_WITHIN):
            async with anyio.create_task_group() as group:
                for part in draft.new:
                    group.start_soon(_admit, draft.plugged, part)
        if draft.gone and draft.new and not any(map(_is_ready, (*draft.new, *draft.kept))):
            await self._undo(draft)

    async def _undo(self, draft: Generation) -> None:
        causes = "; ".join(f"{part.instance.name}: {part.instance.why_out()}" for part in draft.new)
        for part in draft.new:
            draft.plugged.exchange(None, part)
        await self._fleet.discard(draft.new, "none of the new endpoints can be reached")
        raise Unavailable(f"none of the new endpoints can be reached: {causes}", sent=False)


async def _admit(plugged: Plugged, part: Part) -> None:
    with suppress(RemoraError):  # its owner goes on trying
        await until_good(plugged.route, part.instance)
        plugged.exchange(part, None)


def _let_go(part: Part) -> bool:
    is_there = part.instance.state is not State.STOPPED
    if is_there:
        part.instance.retire()
    return is_there


def _is_ready(part: Part) -> bool:
    return part.instance.state is State.READY


def _with_endpoints(config: ManagerConfig, name: str, endpoints: Sequence[Endpoint]) -> ManagerConfig:
    plugin = replace(config.plugins[name], endpoint="", endpoints=tuple(endpoints))
    return replace(config, plugins={**config.plugins, name: plugin})
