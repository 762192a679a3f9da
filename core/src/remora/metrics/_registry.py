"""
The registry: every metric of a host by its name, and what they hold at one moment.

What lives here: declarations and snapshots. What must not: exporting (see `_exports`).
"""

from __future__ import annotations

import logging
import math
import re
import time
from contextlib import asynccontextmanager
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

import anyio

from remora._extensions._conduct import Conduct
from remora._numbers import is_number, seconds
from remora.errors import ConfigError
from remora.metrics._exports import Exports
from remora.metrics._instruments import BUCKETS, Counter, Gauge, Histogram
from remora.metrics._records import Distribution, Metric, MetricBatch, Point

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from remora.metrics._instruments import Instrument
    from remora.protocols import MetricExporter, PullExporter, Tracing

_log = logging.getLogger(__name__)

I = TypeVar("I", Counter, Gauge, Histogram)  # noqa: E741

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_LARGEST = 2**63
"""Whole numbers from here on are exported as what comes closest to them."""
_RESERVED = frozenset({"le", "quantile"})
_LABEL_RULE = "use letters, digits and '_', no digit and no '__' first, and neither 'le' nor 'quantile'"


class MetricsRegistry:
    """
    Counters, gauges and histograms by name, and the exporters that get them::

        registry = MetricsRegistry()
        served = registry.counter("pages_served_total", "Pages that were served.", ["method", "status"])
        served.inc("GET", "200")

    Recording never waits and never exports; a manager's own registry is `manager.metrics`.

    Args:
        export_interval: Seconds between two exports to the same exporter.
        batch_size: The most points that an exporter gets at once.
        max_series: The most series (combinations of label values) of one metric; further ones are counted together.
        export_timeout: Seconds that an exporter may take for one batch, to start, and to close.

    Attributes:
        exports: The exporters, and the loop that serves them.
        tracing: Returns the `trace_id` and the `span_id` of a call that has just ended, empty when there are none;
            histograms of calls keep them as exemplars. While it is None, the interceptors of the plugin that is called
            say which trace a call is in.

    Raises:
        ConfigError: A number is not more than 0.
    """

    def __init__(
        self,
        export_interval: float = 15.0,
        batch_size: int = 1000,
        *,
        max_series: int = 1000,
        export_timeout: float = 10.0,
    ) -> None:
        _check_numbers(export_interval, batch_size, max_series, export_timeout)
        self._max_series = max_series
        self._instruments: dict[str, Instrument] = {}
        self._lock = Lock()
        self.tracing: Tracing | None = None
        self.exports: Exports = Exports(
            self.snapshot, interval=seconds(export_interval), batch_size=batch_size, timeout=seconds(export_timeout)
        )

    def retune(self, *, export_interval: float, batch_size: int, max_series: int, export_timeout: float) -> None:
        """
        Change the numbers that the registry was made with. Series that exist stay when `max_series` is lowered.

        Raises:
            ConfigError: A number is not more than 0.
        """
        _check_numbers(export_interval, batch_size, max_series, export_timeout)
        with self._lock:
            self._max_series = max_series
            for each in self._instruments.values():
                each.series.limit = max_series
        self.exports.retune(interval=seconds(export_interval), batch_size=batch_size, timeout=seconds(export_timeout))

    def counter(self, name: str, description: str = "", labels: Sequence[str] = ()) -> Counter:
        """
        The counter of that name; it is declared by the first call, and the same one is returned by further ones.

        Args:
            name: Its name.
            description: What it counts, in a sentence.
            labels: The names of its labels.

        Raises:
            ConfigError: A name cannot be used, or the metric has been declared otherwise.
        """
        return self._declared(Counter(*_checked(name, description, labels), limit=self._max_series))

    def gauge(self, name: str, description: str = "", labels: Sequence[str] = ()) -> Gauge:
        """
        The gauge of that name; it is declared by the first call, and the same one is returned by further ones.

        Args:
            name: Its name.
            description: What it measures, in a sentence.
            labels: The names of its labels.

        Raises:
            ConfigError: A name cannot be used, or the metric has been declared otherwise.
        """
        return self._declared(Gauge(*_checked(name, description, labels), limit=self._max_series))

    def histogram(
        self, name: str, description: str = "", buckets: Sequence[float] = BUCKETS, labels: Sequence[str] = ()
    ) -> Histogram:
        """
        The histogram of that name; it is declared by the first call, and the same one is returned by further ones.

        Args:
            name: Its name.
            description: What it measures, in a sentence.
            buckets: The upper bounds of the buckets, in rising order; by default `BUCKETS`, for durations in seconds.
            labels: The names of its labels.

        Raises:
            ConfigError: A name or the bounds cannot be used, or the metric has been declared otherwise.
        """
        bounds = _checked_buckets(name, buckets)
        return self._declared(Histogram(*_checked(name, description, labels), buckets=bounds, limit=self._max_series))

    def remove(self, name: str) -> None:
        """
        Forget a metric, so that its name is free. What its handles record from now on is exported no more.
        """
        with self._lock:
            self._instruments.pop(name, None)

    def snapshot(self) -> MetricBatch:
        """
        What all metrics hold now. It may be called from any thread.
        """
        with self._lock:
            instruments = list(self._instruments.values())
        return MetricBatch(time.time(), tuple(_read(each) for each in instruments))

    def add_exporter(self, exporter: MetricExporter | PullExporter) -> None:
        """
        Export to an exporter as well: from when the registry's manager is entered, or at once when it has been.
        """
        self.exports.add(exporter)

    @asynccontextmanager
    async def exporting(self) -> AsyncIterator[None]:
        """
        Export while the context lasts, for a registry without a manager. What is left is exported at its end.
        """
        async with anyio.create_task_group() as group:
            self.exports.start(group, Conduct())
            try:
                yield
            finally:
                with anyio.CancelScope(shield=True):
                    await self.exports.stop()

    def _declared(self, instrument: I) -> I:
        with self._lock:
            known = self._instruments.setdefault(instrument.name, instrument)
        if isinstance(known, type(instrument)) and _terms(known) == _terms(instrument):
            return known
        terms = f"{_said(known)}, not {_said(instrument)}"
        raise ConfigError(f"the metric {instrument.name!r} is declared already, as {terms}")


def _check_numbers(*numbers: float) -> None:
    if not (all(map(is_number, numbers)) and min(numbers) > 0):
        raise ConfigError("export_interval, batch_size, max_series and export_timeout must be numbers of more than 0")


def _checked(name: str, description: str, labels: Sequence[str]) -> tuple[str, str, tuple[str, ...]]:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"a metric cannot be named {name!r}: use letters, digits, '_' and ':', and no digit first")
    names = [labels] if isinstance(labels, str) else list(labels)
    if wrong := [each for each in names if not _LABEL.fullmatch(each) or each in _RESERVED]:
        raise ConfigError(f"metric {name}: a label cannot be named {wrong[0]!r}: {_LABEL_RULE}")
    if len(set(names)) < len(names):
        raise ConfigError(f"metric {name}: a label is named twice")
    return name, description, tuple(names)


def _checked_buckets(name: str, buckets: Sequence[float]) -> tuple[float, ...]:
    try:
        bounds = tuple(float(each) for each in buckets if each != math.inf)  # the last bucket has no bound in any case
    except (TypeError, ValueError) as error:
        raise ConfigError(f"metric {name}: buckets are numbers, got {buckets!r}; labels are given by name") from error
    if not bounds or not all(math.isfinite(each) for each in bounds) or list(bounds) != sorted(set(bounds)):
        raise ConfigError(f"metric {name}: the bounds of buckets must be numbers in rising order")
    return bounds


def _terms(instrument: Instrument) -> tuple[object, ...]:
    return instrument.labels, instrument.description, getattr(instrument, "buckets", None)


def _said(instrument: Instrument) -> str:
    buckets = f" with the bounds {instrument.buckets}" if isinstance(instrument, Histogram) else ""
    return f"a {instrument.kind} {instrument.description!r} of ({', '.join(instrument.labels)}){buckets}"


def _read(instrument: Instrument) -> Metric:
    return Metric(
        instrument.name, instrument.kind, instrument.description, instrument.labels, tuple(_points(instrument))
    )


def _points(instrument: Instrument) -> Iterator[Point]:
    for labels, cell in instrument.series.items():
        try:
            yield Point(labels, _plain(cell.read()), cell.started)
        except Exception:  # a gauge may be watched by the application's code, and be set to anything
            _log.exception("the value of metric %s cannot be read", instrument.name)


def _plain(value: float | Distribution) -> float | Distribution:
    """
    A value as every exporter can write it: one that none could would take all others with it.
    """
    if isinstance(value, Distribution) or (isinstance(value, int) and -_LARGEST <= value < _LARGEST):
        return value
    return float(value)
