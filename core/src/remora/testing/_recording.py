"""
An exporter that keeps what it is given, and fails or hangs when a test wants that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from remora.hookspecs import hookimpl
from remora.metrics import MetricKind
from remora.specs import ExporterSpec
from remora.testing._registration import NoOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from remora.metrics import Distribution, MetricBatch

__all__ = ["RecordingExporter"]


class RecordingExporter:
    """
    An exporter that keeps every batch. Pass it to `manager.metrics.add_exporter`; or pass it as an extension to
    `Manager(...)`, and switch it on with a table `[exporters.recording]`.

    Attributes:
        name: Its name, "recording".
        kinds: The kinds of metrics that it supports.
        batches: The batches that it was given and has not refused, in order.
        attempts: How often it was given a batch, including those that it refused.
        failure: Makes the error that exports end with; None for exports that succeed. Set it to let them fail.
        is_hanging: Whether exports never end. Set it to let them hang.
        is_closed: Whether it was closed.
    """

    name = "recording"

    def __init__(self, kinds: Collection[MetricKind] = tuple(MetricKind)) -> None:
        self.kinds: frozenset[MetricKind] = frozenset(kinds)
        self.batches: list[MetricBatch] = []
        self.attempts: int = 0
        self.failure: Callable[[], Exception] | None = None
        self.is_hanging = False
        self.is_closed: bool = False
        self._changed = anyio.Event()

    @hookimpl
    def remora_register_metric_exporters(self) -> list[ExporterSpec[NoOptions]]:
        """
        The hook: a spec whose `build` always returns this object.
        """
        return [ExporterSpec(self.name, NoOptions, lambda _: self)]

    def supports(self, kind: MetricKind, /) -> bool:
        """
        Whether it takes metrics of a kind.
        """
        return kind in self.kinds

    async def export(self, batch: MetricBatch, /) -> None:
        """
        Keep a batch.
        """
        self.attempts += 1
        changed, self._changed = self._changed, anyio.Event()
        changed.set()
        if self.is_hanging:
            await anyio.sleep_forever()
        if self.failure is not None:
            raise self.failure()
        self.batches.append(batch)

    async def close(self) -> None:
        """
        Remember that it was closed.
        """
        self.is_closed = True

    async def wait_for(self, attempts: int) -> None:
        """
        Wait until it has been given a batch this many times in all.
        """
        while self.attempts < attempts:
            await self._changed.wait()

    def value(self, name: str, *labels: str) -> float | Distribution | None:
        """
        What the series of a metric with these label values held when it was last exported; None when it never was.
        """
        found = (batch.value(name, *labels) for batch in reversed(self.batches))
        return next((value for value in found if value is not None), None)
