"""
The export loop: every exporter gets what is recorded, in a task of its own, in its own time.

What lives here: who exports, from when until when. What must not: when one of them has its turn (see `_exporter_task`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import anyio

from remora.metrics._exporter_task import ExporterTask, Terms

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anyio.abc import TaskGroup

    from remora._extensions._conduct import Conduct
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
        self._unstarted: list[tuple[str, MetricExporter | PullExporter]] = []
        self._group: TaskGroup | None = None
        self._conduct: Conduct | None = None
        self._turns: list[_Turn] = []

    def add(self, exporter: MetricExporter | PullExporter, culprit: str = "") -> None:
        """
        Export to it from now on, or from the start.

        Args:
            exporter: The exporter.
            culprit: What to call it in messages.
        """
        culprit = culprit or f"the exporter {exporter.name!r}"
        if self._group is None:
            self._unstarted.append((culprit, exporter))
        else:
            self._begin(culprit, exporter)

    def retune(self, *, interval: float, batch_size: int, timeout: float) -> None:
        """
        Export on other terms, also in the pauses that have begun.
        """
        self._terms = replace(self._terms, interval=interval, batch_size=batch_size, timeout=timeout)
        for turn in self._turns:
            turn.task.retune(self._terms)

    async def remove(self, exporter: MetricExporter | PullExporter) -> None:
        """
        Export to it a last time, close it, and forget it; in bounded time, as `stop`.
        """
        await self._end([turn for turn in self._turns if turn.exporter is exporter])

    def start(self, group: TaskGroup, conduct: Conduct) -> None:
        """
        Export until `stop`, in tasks of this group.

        Args:
            group: Where the tasks run.
            conduct: The record of what exporters do wrong.
        """
        self._group, self._conduct = group, conduct
        unstarted, self._unstarted = self._unstarted, []
        for culprit, exporter in unstarted:
            self._begin(culprit, exporter)

    async def stop(self) -> None:
        """
        Export a last time, close the exporters, and end. Exporters that take more than a few seconds are cancelled.
        """
        self._group = None
        await self._end(list(self._turns))

    async def _end(self, turns: Sequence[_Turn]) -> None:
        """
        Let these exporters end together; those that take too long are cancelled, and their own tasks still close them.
        """
        for turn in turns:
            turn.task.stop()
        with anyio.move_on_after(min(_FLUSH, self._terms.timeout)):
            for turn in turns:
                await turn.ended.wait()
        for turn in turns:
            turn.scope.cancel()

    def _begin(self, culprit: str, exporter: MetricExporter | PullExporter) -> None:
        assert self._group is not None
        assert self._conduct is not None
        turn = _Turn(exporter, ExporterTask(culprit, exporter, self._terms, self._conduct))
        self._turns.append(turn)
        self._group.start_soon(self._keep, turn, name=f"remora {culprit}")

    async def _keep(self, turn: _Turn) -> None:
        with turn.scope:
            await turn.task.run()
        await turn.task.close()
        self._turns.remove(turn)
        turn.ended.set()


class _Turn:
    """
    The time of one exporter, and when it has ended.
    """

    def __init__(self, exporter: MetricExporter | PullExporter, task: ExporterTask) -> None:
        self.exporter = exporter
        self.task = task
        self.ended = anyio.Event()
        self.scope = anyio.CancelScope()
