"""
The export loop: every exporter gets what is recorded, in a task of its own, in its own time.

What lives here: who exports, from when until when. What must not: when one of them has its turn (see `_seat`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from remora.metrics._seat import Seat, Terms

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskGroup

    from remora._conduct import Conduct
    from remora.metrics._records import MetricBatch
    from remora.protocols import MetricExporter, PullExporter

_FLUSH = 5.0  # seconds that all exporters together may delay a shutdown


class Exports:
    """
    The exporters of one registry.

    Args:
        read: Gives what is recorded; from any thread.
        interval: Seconds between two exports to the same exporter.
        batch_size: The most points that an exporter gets at once.
        timeout: Seconds that an exporter may take for one batch, to start, and to close.
    """

    def __init__(self, read: Callable[[], MetricBatch], *, interval: float, batch_size: int, timeout: float) -> None:
        self._terms = Terms(read=read, interval=interval, batch_size=batch_size, timeout=timeout)
        self._exporters: list[tuple[str, MetricExporter | PullExporter]] = []
        self._group: TaskGroup | None = None
        self._conduct: Conduct | None = None
        self._stopping = anyio.Event()
        self._idle = anyio.Event()
        self._scopes: set[anyio.CancelScope] = set()

    def add(self, exporter: MetricExporter | PullExporter, culprit: str = "") -> None:
        """
        Export to it from now on, or from the start.

        Args:
            exporter: The exporter.
            culprit: What to call it in messages.
        """
        culprit = culprit or f"the exporter {exporter.name!r}"
        self._exporters.append((culprit, exporter))
        if self._group is not None:
            self._begin(culprit, exporter)

    def start(self, group: TaskGroup, conduct: Conduct) -> None:
        """
        Export until `stop`, in tasks of this group.

        Args:
            group: Where the tasks run.
            conduct: The record of what exporters do wrong.
        """
        self._group, self._conduct = group, conduct
        self._stopping = anyio.Event()
        self._idle = anyio.Event()
        for culprit, exporter in self._exporters:
            self._begin(culprit, exporter)

    async def stop(self) -> None:
        """
        Export what is left, close the exporters, and end; who has not done with it in some seconds is cancelled.
        """
        if self._group is None:
            return
        self._group = None
        self._stopping.set()
        if self._scopes:
            with anyio.move_on_after(min(_FLUSH, self._terms.timeout)):
                await self._idle.wait()
        for scope in self._scopes:
            scope.cancel()

    def _begin(self, culprit: str, exporter: MetricExporter | PullExporter) -> None:
        assert self._group is not None
        assert self._conduct is not None
        seat = Seat(culprit, exporter, self._terms, self._conduct)
        scope = anyio.CancelScope()
        self._scopes.add(scope)
        self._group.start_soon(self._keep, seat, scope, name=f"remora {culprit}")

    async def _keep(self, seat: Seat, scope: anyio.CancelScope) -> None:
        with scope:
            await seat.run(self._stopping)
        await seat.close()
        self._scopes.discard(scope)
        if not self._scopes:
            self._idle.set()
