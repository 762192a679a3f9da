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

from remora._closing import discard
from remora._instance import State
from remora._readiness import until_good
from remora.errors import RemoraError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from remora._assembly import Part
    from remora._fleet import Fleet
    from remora._generation import Generation
    from remora.config import ManagerConfig
    from remora.types import Endpoint

READY_WITHIN = 10.0
"""Seconds that new instances may take before old ones are let go without them, as long as any instance is ready."""


class Adoption:
    """
    One such change: `begin` and `end` are steps of their own, and in between other plugins may change.

    Args:
        fleet: The plugins.
        name: The plugin's name; it is in the fleet.
        endpoints: Where it is now; at least one.

    Attributes:
        scope: What runs in it ends when the change gives way to another one.
    """

    def __init__(self, fleet: Fleet, name: str, endpoints: Sequence[Endpoint]) -> None:
        self.scope = anyio.CancelScope()
        self._fleet = fleet
        self._name = name
        self._endpoints = endpoints
        self._former = fleet[name]
        config = self._config()
        self._draft = fleet.draft(config.plugins[name], config, self._former)
        self._is_open = bool(self._former.parts) and not fleet.is_held(self._former)
        self._has_given_way = False

    def begin(self) -> bool:
        """
        Have what is new opened.

        Returns:
            Whether that has to be ready before the end.
        """
        if self._is_open:
            self._fleet.open(self._draft.plugged, self._draft.new)
        return self._is_open and bool(self._draft.gone)  # else nobody needs to be relieved

    async def until_ready(self) -> None:
        """
        Wait for what is new, but not too long; each takes calls as soon as it can.
        """
        with anyio.move_on_after(READY_WITHIN):
            async with anyio.create_task_group() as group:
                for part in self._draft.new:
                    group.start_soon(self._admit, part)

    def give_way(self) -> Iterable[Part]:
        """
        Leave the plugin as it was before: another change is about to do something else with it.

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
            Unavailable: Nothing can be reached there; everything is as it was.
        """
        draft = self._draft
        if self._is_open and draft.gone and draft.new and not any(map(_is_ready, (*draft.new, *draft.kept))):
            await self._undo(draft)
        draft.settle()
        if not self._is_open and not self._fleet.is_held(self._former):
            self._fleet.open(draft.plugged, draft.new)
        self._fleet.accept(self._config())
        return [part for part in draft.gone if _let_go(part)]

    def _config(self) -> ManagerConfig:
        """
        The configuration in force, with the plugin where it is now.
        """
        config = self._fleet.config
        plugin = replace(config.plugins[self._name], endpoint="", endpoints=tuple(self._endpoints))
        return replace(config, plugins={**config.plugins, self._name: plugin})

    async def _admit(self, part: Part) -> None:
        with suppress(RemoraError):  # its owner goes on trying
            await until_good(self._draft.plugged.route, part.instance)
            if not self._has_given_way:
                self._draft.plugged.exchange(part, None)

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


def _is_ready(part: Part) -> bool:
    return part.instance.state is State.READY
