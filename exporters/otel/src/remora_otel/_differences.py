"""
From totals to what came on top since the last time, for receivers that add up by themselves.

What lives here: arithmetic. What must not: OpenTelemetry.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from remora.metrics import Distribution, MetricKind

if TYPE_CHECKING:
    from remora.metrics import Metric, Point

    Key = tuple[str, tuple[str, ...], float]


class Differences:
    """
    Remembers the totals of each series that it has been shown.
    """

    def __init__(self) -> None:
        self._last: dict[Key, tuple[float | Distribution, float]] = {}

    def of(self, metric: Metric, now: float) -> Metric:
        """
        The metric with what each series has gained since it was last shown, and since when. A gauge stays what it is.

        Args:
            metric: The metric, with totals.
            now: When these were read, in seconds since the epoch.
        """
        if metric.kind is MetricKind.GAUGE:
            return metric
        return replace(metric, points=tuple(self._gained(metric.name, point, now) for point in metric.points))

    def _gained(self, name: str, point: Point, now: float) -> Point:
        key = name, point.labels, point.started
        last = self._last.get(key)
        self._last[key] = point.value, now
        if last is None:
            return point
        before, since = last
        return replace(point, value=_minus(point.value, before), started=since)


def _minus(value: float | Distribution, before: float | Distribution) -> float | Distribution:
    if isinstance(value, Distribution) and isinstance(before, Distribution):
        counts = tuple(more - less for more, less in zip(value.counts, before.counts, strict=True))
        return replace(value, counts=counts, sum=value.sum - before.sum)
    assert not isinstance(value, Distribution)
    assert not isinstance(before, Distribution)
    return value - before
