"""
Ways out for metrics: those that take them away, and those where somebody comes for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from remora.metrics import MetricBatch, MetricKind


class MetricExporter(Protocol):
    """
    Takes metrics to where somebody looks at them.

    It runs in a task of its own, on the event loop: what it waits for holds up nobody, but it must not block. It is
    cancelled when it takes longer than the registry allows, and what it raises is logged, counted, and followed by a
    longer pause; nothing of that is lost, since the next batch holds the totals again.
    """

    @property
    def name(self) -> str:
        """
        Its name, for messages.
        """
        ...

    def supports(self, kind: MetricKind, /) -> bool:
        """
        Whether it can do something with metrics of a kind; it gets no others.
        """
        ...

    async def export(self, batch: MetricBatch, /) -> None:
        """
        Take a batch. The numbers are totals since the start of each series, never differences.
        """
        ...

    async def close(self) -> None:
        """
        Let go of what it holds. Nothing is exported any more.
        """
        ...


@runtime_checkable
class PullExporter(Protocol):
    """
    Lets somebody come for metrics, whenever they like.
    """

    @property
    def name(self) -> str:
        """
        Its name, for messages.
        """
        ...

    def serving(self, read: Callable[[], MetricBatch], /) -> AbstractAsyncContextManager[object]:
        """
        A context in which the metrics can be fetched; when entering it fails, that is tried again later.

        Args:
            read: Gives what all metrics hold now; it may be called from any thread.
        """
        ...

    async def close(self) -> None:
        """
        Let go of what it holds. Its context has been left.
        """
        ...
