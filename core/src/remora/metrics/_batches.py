"""
A snapshot cut into batches that an exporter can take.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from remora.metrics._records import MetricBatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from remora.metrics._records import Metric, MetricKind


def batches(snapshot: MetricBatch, size: int, supports: Callable[[MetricKind], bool]) -> Iterator[MetricBatch]:
    """
    The points of a snapshot in batches of at most `size`, in order; metrics of kinds that are not supported left out.
    """
    taken: list[Metric] = []
    room = size
    for metric in snapshot.metrics:
        if not supports(metric.kind):
            continue
        start = 0
        while start < len(metric.points):
            part = metric.points[start : start + room]
            taken.append(replace(metric, points=part))
            start, room = start + len(part), room - len(part)
            if not room:
                yield MetricBatch(snapshot.time, tuple(taken))
                taken, room = [], size
    if taken:
        yield MetricBatch(snapshot.time, tuple(taken))
