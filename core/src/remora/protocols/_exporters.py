"""
Ways out for metrics: exporters that push them somewhere, and exporters from which they are pulled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from remora.metrics import MetricBatch, MetricKind


class MetricExporter(Protocol):
    """
    Pushes metrics to where somebody looks at them.

    It runs in a task of its own on the event loop: it may wait, but must not block. An export that takes longer than
    the registry allows is cancelled. What it raises is logged and counted, and followed by a longer pause; no numbers
    are lost by that, since the next batch holds the totals again.
    """

    @property
    def name(self) -> str:
        """
        Its name, for messages.
        """
        ...

    def supports(self, kind: MetricKind, /) -> bool:
        """
        Whether it exports metrics of a kind; it is given no others.
        """
        ...

    async def export(self, batch: MetricBatch, /) -> None:
        """
        Export a batch. The numbers are totals since the start of each series, never differences.

        Raises:
            Exception: The batch could not be exported.
        """
        ...

    async def close(self) -> None:
        """
        Release what it holds. Called once, after the last export.
        """
        ...


@runtime_checkable
class PullExporter(Protocol):
    """
    Serves metrics to whoever asks for them, whenever they do.
    """

    @property
    def name(self) -> str:
        """
        Its name, for messages.
        """
        ...

    def serving(self, read: Callable[[], MetricBatch], /) -> AbstractAsyncContextManager[object]:
        """
        A context within which the metrics can be fetched. When entering it fails, that is tried again later.

        Args:
            read: Returns what all metrics hold now; it may be called from any thread.
        """
        ...

    async def close(self) -> None:
        """
        Release what it holds. Called once, after its context has been left.
        """
        ...
