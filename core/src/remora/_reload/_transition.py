"""
From the configuration that is in force to another one, without failing any call.

What lives here: the order of opening, switching and closing. What must not: what is different (see `config`), how a
plugin is made (see `_fleet._generation`) and opened (see `_strategy`), when it is ready (see `_fleet._readiness`) and
how it goes (see `_departures`).
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from remora._calls._outage import why_out
from remora._fleet._closing import discard
from remora._fleet._readiness import are_ready, is_ready
from remora._reload._departures import Departures
from remora._reload._plan import is_resolved, plan_of
from remora._reload._strategy import Strategy
from remora.config import compare, problems_of_order, start_order
from remora.errors import ConfigError, ManagerClosed, RemoraError, Unavailable
from remora.reload import Action, PluginReload, ReloadReport
from remora.types import ReloadApplied, ReloadRolledBack, ReloadStarted

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from remora._fleet._assembly import Part
    from remora._fleet._fleet import Fleet
    from remora._fleet._generation import Generation
    from remora.config import ManagerConfig
    from remora.reload import PluginPlan, ReloadOptions

_log = logging.getLogger(__name__)

_CLEANING = 5.0
_UNDONE = "the reload that it was opened for is not in force"


class Transition:
    """
    One move of a fleet.

    New instances of a plugin are opened, unless it is among `_held` (what it requires is not up yet) or `_asleep` (it
    waits for its first call). What cannot be opened is among `_errors`, and stays or becomes again what it was.

    Args:
        fleet: The plugins.
        config: The configuration that is to be in force; it has been checked.
        options: How.
        cause: Why, for events.
        left_alone: The plugins that are not touched, since they do not change here and are being changed elsewhere.
    """

    def __init__(
        self,
        fleet: Fleet,
        config: ManagerConfig,
        options: ReloadOptions,
        cause: str,
        left_alone: Collection[str] = (),
    ) -> None:
        self._fleet = fleet
        self._former = fleet.config
        self._config = config
        self._options = options
        self._cause = cause
        self._left_alone = frozenset(left_alone)
        self._diff = compare(fleet.config, config)
        self._drafts: dict[str, Generation] = {}
        self._plans: dict[str, PluginPlan] = {}
        self._errors: dict[str, RemoraError] = {}
        self._held: set[str] = set()
        self._asleep: set[str] = set()
        self._departures = Departures(fleet, options.drain_timeout)
        self._strategy = Strategy(fleet, options, self._departures)

    async def run(self) -> ReloadReport:
        """
        Move, until new calls find only the new configuration.
        """
        started = anyio.current_time()
        self._draw()
        self._fleet.publish(ReloadStarted(time=time.time(), plugins=self._concerned(), cause=self._cause))
        try:
            await self._open()
            wanted = self._wanted()
        except BaseException:
            await self._abandon()
            raise
        if wanted is None:
            await self._roll_back()
            return self._report(rolled_back=True)
        await self._let_go(self._errors)
        self._switch(wanted)
        seconds = anyio.current_time() - started
        failed = tuple(self._errors)
        self._fleet.publish(ReloadApplied(time=time.time(), plugins=self._concerned(), failed=failed, seconds=seconds))
        return self._report(applied=not failed)

    async def finish(self, report: ReloadReport) -> ReloadReport:
        """
        Drain and close what is to go: plugins before those that they require.
        """
        await self._departures.finish()
        cancelled = self._departures.cancelled
        plugins = {name: replace(each, cancelled=cancelled[name]) for name, each in report.plugins.items()}
        return replace(report, plugins=plugins)

    def _draw(self) -> None:
        """
        Build the next generation of each plugin, and note what will happen to it.
        """
        for name, diff in self._diff.plugins.items():
            if _is_served(name, self._config) and name not in self._left_alone:
                self._draft(name)
            names = [tuple(part.place.name for part in parts) for parts in self._moves(name)]
            has_resolver = is_resolved(name, self._former, self._config)
            self._plans[name] = plan_of(diff, *names, is_resolved=has_resolver)

    def _draft(self, name: str) -> None:
        try:
            self._drafts[name] = self._fleet.draft(self._config.plugins[name], self._config, self._fleet.get(name))
        except ConfigError as error:
            self._errors[name] = error

    def _moves(self, name: str) -> tuple[Sequence[Part], Sequence[Part], Sequence[Part]]:
        """
        The parts of a plugin that come, stay and go.
        """
        if draft := self._drafts.get(name):
            return draft.new, draft.kept, draft.gone
        there = self._fleet.get(name)
        parts = there.parts if there else ()
        return ((), parts, ()) if name in self._left_alone else ((), (), parts)

    def _concerned(self) -> tuple[str, ...]:
        return tuple(name for name, plan in self._plans.items() if plan.action is not Action.UNCHANGED)

    async def _open(self) -> None:
        """
        Open new parts, plugins after those that they require.
        """
        limit = self._options.graceful_timeout
        with anyio.move_on_after(limit) as scope:
            for step in start_order(self._config.plugins):
                if self._errors and self._options.rollback_on_failure:
                    return
                await self._open_step([name for name in step if name in self._drafts])
        if scope.cancelled_caught:
            for name, draft in self._drafts.items():
                if name not in (*self._errors, *self._held, *self._asleep) and not are_ready(draft.new):
                    why = why_out([part.instance for part in draft.new if not is_ready(part.instance)])
                    message = f"not in force within {limit:g} s: {why}"
                    self._errors[name] = Unavailable(message, plugin=name, sent=False)

    async def _open_step(self, names: Iterable[str]) -> None:
        async with anyio.create_task_group() as group:
            for name in names:
                if self._has_to_wait(name):
                    self._held.add(name)
                else:
                    group.start_soon(self._open_one, name, self._drafts[name])

    def _has_to_wait(self, name: str) -> bool:
        """
        Whether a plugin that has not been started has to wait, as at the start of the host, because a plugin that it
        requires is not up. That is not a fault of the change, and does not undo it.
        """
        draft = self._drafts[name]
        if draft.is_lazy or not (draft.is_first or self._fleet.is_held(draft.plugged)):
            return False
        return not all(map(self._is_up, draft.config.requires))

    def _is_up(self, name: str) -> bool:
        draft, there = self._drafts.get(name), self._fleet.get(name)
        if draft is not None and draft.new and are_ready(draft.new):
            return True
        return there is not None and there.route.is_up

    async def _open_one(self, name: str, draft: Generation) -> None:
        if draft.is_lazy:
            self._asleep.add(name)
            return
        try:
            await self._strategy.open(draft)
        except RemoraError as error:
            error.plugin = error.plugin or name
            self._errors[name] = error

    def _wanted(self) -> ManagerConfig | None:
        """
        The configuration that can be put in force now; None when that is the former one.
        """
        if not self._errors:
            return self._config
        if self._options.rollback_on_failure:
            return None
        merged = in_force(self._former, self._config, self._errors)
        return None if problems_of_order(merged.plugins) else merged

    def _switch(self, wanted: ManagerConfig) -> None:
        """
        The one step after which new calls find the new configuration.
        """
        for name, draft in self._drafts.items():
            if name in self._errors or self._plans[name].action is Action.UNCHANGED:
                continue
            self._fleet.put(draft.settle())
            if name in self._held:
                self._fleet.hold(draft.plugged)
            if name in self._asleep:
                self._leave_asleep(draft)
            for part in draft.gone:
                self._departures.leave(draft.plugged, part)
        steps = reversed(start_order(self._former.plugins))
        removed = [[name for name in step if not _is_served(name, wanted)] for step in steps]
        taken = [[self._fleet.take(name) for name in step] for step in removed]
        self._fleet.accept(wanted)
        self._departures.leave_all([[each for each in step if each] for step in taken])

    def _leave_asleep(self, draft: Generation) -> None:
        """
        Let a plugin wait for its first call; if that has come in the meantime, open what is new.
        """
        if draft.is_first:
            self._fleet.doze(draft.plugged)
        elif not draft.plugged.route.is_dormant:
            with suppress(ManagerClosed):  # it will not be called any more
                self._fleet.open(draft.plugged, draft.new)

    async def _roll_back(self) -> None:
        await self._let_go(self._drafts)
        causes = {name: error.message for name, error in self._errors.items()}
        self._fleet.publish(ReloadRolledBack(time=time.time(), causes=causes))

    async def _let_go(self, names: Iterable[str]) -> None:
        """
        Bring the plugins of these names back to what they were.
        """
        async with anyio.create_task_group() as group:
            for name in names:
                if name in self._strategy.touched:
                    group.start_soon(self._restore, self._strategy.touched[name])
                elif name in self._drafts:
                    group.start_soon(discard, self._fleet, self._drafts[name].new, _UNDONE)

    async def _restore(self, draft: Generation) -> None:
        """
        Bring the former instances of a plugin back; those that are already closed are opened anew. If they cannot be
        built any more, such as without a file that was there before, it keeps the instances that it has.
        """
        plugged, former = draft.plugged, self._former.plugins[draft.config.name]
        placed = {part.instance for part in plugged.parts}
        await discard(self._fleet, [part for part in draft.new if part.instance not in placed], _UNDONE)
        try:
            back = self._fleet.draft(former, self._former, plugged)
        except ConfigError as error:
            _log.error("plugin %r cannot be what it was before the reload: %s", former.name, error)
            return
        is_alone = self._options.strategy == "recreate"  # new instances must be gone before old ones can come back
        if is_alone:
            back.settle()
            await discard(self._fleet, back.gone, _UNDONE)
        with suppress(RemoraError):
            await self._strategy.ready(plugged, back.new)  # when it does not come up, its owner goes on trying
        if not is_alone:
            back.settle()
            for part in back.gone:
                self._departures.leave(plugged, part)

    async def _abandon(self) -> None:
        """
        Close what has been opened in vain.
        """
        with anyio.move_on_after(_CLEANING, shield=True):
            for draft in self._drafts.values():
                placed = set() if draft.is_first else {part.instance for part in draft.plugged.parts}
                await discard(self._fleet, [part for part in draft.new if part.instance not in placed], _UNDONE)

    def _report(self, *, applied: bool = False, rolled_back: bool = False) -> ReloadReport:
        return ReloadReport(
            applied=applied,
            rolled_back=rolled_back,
            keys=self._diff.keys,
            plugins={name: self._result(name, plan, rolled_back) for name, plan in self._plans.items()},
        )

    def _result(self, name: str, plan: PluginPlan, is_undone: bool) -> PluginReload:
        error = self._errors.get(name)
        if is_undone or error is not None:
            return PluginReload(action=Action.UNCHANGED, keys=plan.keys, error=error)
        return PluginReload(action=plan.action, keys=plan.keys, opened=plan.opened, kept=plan.kept, closed=plan.closed)


def in_force(former: ManagerConfig, wanted: ManagerConfig, failed: Collection[str]) -> ManagerConfig:
    """
    The part of a configuration that is in force after a move to it: plugins that have failed are what they were.
    """
    before = {name: former.plugins[name] for name in failed if name in former.plugins}
    plugins = {name: each for name, each in wanted.plugins.items() if name not in failed}
    return replace(wanted, plugins={**plugins, **before})


def _is_served(name: str, config: ManagerConfig) -> bool:
    return name in config.plugins and config.plugins[name].enabled
