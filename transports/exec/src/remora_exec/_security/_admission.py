"""
Watching the allow-list while a program runs: whoever removes a hash from it wants to know where it still runs.

What lives here: when to look, and what to report. What must not: what the list means (see `_guard`).

No program is ended for it: calls are under way, and the next start is refused anyhow. A look costs one `stat`, so it
needs neither a thread nor a watcher for each process; a change counts once it was there at two looks, so that the
moment between two renames is not reported.
"""

from __future__ import annotations

import logging
from collections import deque
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from remora.types import Inspection
from remora_exec._tasks import background

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from remora.security import Decision
    from remora_exec._security._guard import Guard, Verdict

_logger = logging.getLogger(__name__.replace("_", ".", 1))

_INTERVAL = 1.0
_KEPT = 16  # reviews that nobody has asked for yet


def reviewing(guard: Guard, verdict: Verdict) -> AbstractAsyncContextManager[None]:
    """
    A context in which a program runs; the list is watched meanwhile, if there is one.
    """
    return _watching(Admission(guard, verdict)) if guard.has_list else nullcontext()


@asynccontextmanager
async def _watching(admission: Admission) -> AsyncIterator[None]:
    async with background() as tasks:
        tasks.start(admission.watch)
        yield


class Admission:
    """
    A program that was allowed to start, and whether it still would be.
    """

    def __init__(self, guard: Guard, verdict: Verdict) -> None:
        self._guard = guard
        self._verdict = verdict
        self._is_good = not verdict.decision.reasons
        self._reviews: deque[Inspection] = deque(maxlen=_KEPT)
        self._reviewed = anyio.Event()

    async def next_review(self) -> Inspection:
        """
        Wait until it would no longer be allowed, or is allowed again.
        """
        while not self._reviews:
            self._reviewed = anyio.Event()
            await self._reviewed.wait()
        return self._reviews.popleft()

    async def watch(self) -> None:
        """
        Report whenever the list removes the program or adds it again, until cancelled.
        """
        seen: object = object()
        known: object = object()  # the list may have changed since the program was looked at
        while self._guard.has_list:
            await anyio.sleep(_INTERVAL)
            before, seen = seen, self._guard.version_of_list()
            if before == seen != known:
                known = seen
                self._compare(await anyio.to_thread.run_sync(self._guard.review, self._verdict))

    def _compare(self, decision: Decision) -> None:
        was_good, self._is_good = self._is_good, not decision.reasons
        if was_good == self._is_good:
            return
        self._guard.note(self._verdict, "allowed" if self._is_good else "revoked", decision.reasons)
        who = f"plugin {self._guard.plugin!r}: {self._verdict.path}, which runs,"
        if self._is_good:
            _logger.info("%s may be started again", who)
        else:
            _logger.warning("%s would not be started any more: %s", who, "; ".join(decision.reasons))
        self._reviews.append(self._inspection(decision))
        self._reviewed.set()

    def _inspection(self, decision: Decision) -> Inspection:
        verdict = self._verdict
        return Inspection(
            program=verdict.path,
            sha256=verdict.sha256,
            size=verdict.size,
            outcome=decision.outcome,
            reasons=decision.reasons,
        )
