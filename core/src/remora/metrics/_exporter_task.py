"""
One exporter while a registry exports: when it is given something, and what happens when it takes that badly.

What lives here: the task of one exporter. What must not: what the others do.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import anyio

from remora._extensions._faults import is_fault
from remora._frozen import dataclass
from remora.metrics._batches import batches
from remora.protocols import PullExporter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from remora._extensions._conduct import Conduct
    from remora.metrics._records import MetricBatch
    from remora.protocols import MetricExporter

_LONGEST_PAUSE = 300.0
_CLOSING = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """
    What holds for all exporters of a registry.

    Attributes:
        read: Gives what is recorded; from any thread.
        interval: Seconds between two exports.
        batch_size: The most points in a batch.
        timeout: Seconds that an exporter may take for one batch, or to start.
    """

    read: Callable[[], MetricBatch]
    interval: float
    batch_size: int
    timeout: float


class ExporterTask:
    """
    An exporter, with its failures in a row.
    """

    def __init__(self, culprit: str, exporter: MetricExporter | PullExporter, terms: Terms, conduct: Conduct) -> None:
        self._culprit = culprit
        self._exporter = exporter
        self._terms = terms
        self._conduct = conduct
        self._failures = 0
        self._stopping = anyio.Event()
        self._retuned = anyio.Event()

    async def run(self) -> None:
        """
        Export again and again, and a last time when it is to stop.
        """
        if isinstance(self._exporter, PullExporter):
            await self._keep_serving(self._exporter)
        else:
            await self._keep_pushing(self._exporter)

    def retune(self, terms: Terms) -> None:
        """
        Go on with other terms.
        """
        self._terms = terms
        self._retuned.set()

    def stop(self) -> None:
        """
        Export a last time, and end.
        """
        self._stopping.set()
        self._retuned.set()

    async def close(self) -> None:
        """
        Let the exporter go, within a bound, and whatever becomes of the caller.
        """
        with anyio.CancelScope(shield=True):
            await self._contained(self._let_go)

    async def _keep_pushing(self, exporter: MetricExporter) -> None:
        is_last = False
        while not is_last:
            await self._pause()
            is_last = self._stopping.is_set()
            is_well = await self._contained(self._push, exporter)
            self._failures = 0 if is_well else self._failures + 1

    async def _keep_serving(self, exporter: PullExporter) -> None:
        while not self._stopping.is_set():
            await self._contained(self._lend, exporter)
            self._failures += 1  # entering it well sets this back
            await self._pause()

    async def _push(self, exporter: MetricExporter) -> None:
        for batch in batches(self._terms.read(), self._terms.batch_size, exporter.supports):
            with anyio.fail_after(self._terms.timeout):
                await exporter.export(batch)

    async def _lend(self, exporter: PullExporter) -> None:
        with anyio.fail_after(self._terms.timeout) as scope:
            async with exporter.serving(self._terms.read):
                scope.deadline = math.inf
                self._failures = 0
                await self._stopping.wait()
                scope.deadline = anyio.current_time() + self._terms.timeout

    async def _let_go(self) -> None:
        with anyio.fail_after(min(_CLOSING, self._terms.timeout)):
            await self._exporter.close()

    async def _pause(self) -> None:
        """
        Wait for the next turn.
        """
        began = anyio.current_time()
        while not self._stopping.is_set():
            left = began + self._interval(self._failures) - anyio.current_time()
            if left <= 0:
                return
            self._retuned = anyio.Event()
            with anyio.move_on_after(left):
                await self._retuned.wait()

    def _interval(self, failures: int) -> float:
        """
        Seconds between two turns, more after every failure in a row.
        """
        longest = max(_LONGEST_PAUSE, self._terms.interval)
        return min(longest, self._terms.interval * 2.0 ** min(failures, 30))

    async def _contained(self, act: Callable[..., Awaitable[None]], *arguments: object) -> bool:
        """
        Whether something that an exporter does went well; what it raises is logged and counted.
        """
        try:
            await act(*arguments)
        except BaseException as error:  # an exporter may be a stranger's code
            if not is_fault(error):
                raise self._conduct.cancelled(self._culprit, error) from None
            next_try = None if self._stopping.is_set() else self._interval(self._failures + 1)
            self._conduct.failed(self._culprit, error, next_try=next_try)
            return False
        return True
