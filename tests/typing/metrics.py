"""
Metrics as an application and the author of an exporter use them. Never run; mypy and pyright check it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass

from remora import ExporterSpec, Manager, MetricsRegistry, ObservabilityMetrics, hookimpl
from remora.metrics import BoundCounter, Counter, Distribution, Histogram, MetricBatch, MetricKind
from remora.observability import InstanceMetrics, LastError
from remora.protocols import MetricExporter, PullExporter
from remora.testing import RecordingExporter, check_exporter


@dataclass(frozen=True)
class Options:
    """
    Options with a default each.
    """

    path: str = "metrics.log"


class LogFile:
    """
    An exporter needs no base class.
    """

    name = "log-file"

    def supports(self, kind: MetricKind) -> bool:
        """
        All but histograms.
        """
        return kind is not MetricKind.HISTOGRAM

    async def export(self, batch: MetricBatch) -> None:
        """
        Print every point.
        """
        for metric in batch.metrics:
            for point in metric.points:
                value = point.value.quantile(0.95) if isinstance(point.value, Distribution) else point.value
                print(batch.time, metric.name, dict(zip(metric.labels, point.labels, strict=True)), value)

    async def close(self) -> None:
        """
        Nothing to close.
        """


class Page:
    """
    Neither does one that is fetched from.
    """

    name = "page"

    def serving(self, read: Callable[[], MetricBatch]) -> AbstractAsyncContextManager[object]:
        """
        Lend the function.
        """
        return nullcontext(read)

    async def close(self) -> None:
        """
        Nothing to close.
        """


def build(options: Options) -> MetricExporter:
    """
    The exporter.
    """
    print(options.path)
    return LogFile()


def build_page(options: Options) -> PullExporter:
    """
    The other one.
    """
    return Page()


@hookimpl
def remora_register_metric_exporters() -> Iterable[ExporterSpec[Options]]:
    """
    Both.
    """
    return [ExporterSpec("log-file", Options, build), ExporterSpec("page", Options, build_page)]


async def record(manager: Manager) -> None:
    """
    Instruments and handles.
    """
    registry: MetricsRegistry = manager.metrics
    counter: Counter = registry.counter("pages_served_total", "Pages.", ["method", "status"])
    counter.inc("GET", status=200)
    handle: BoundCounter = counter.bind(method="GET", status="200")
    handle.add(2)
    registry.gauge("users").set(42)
    histogram: Histogram = registry.histogram("seconds", "Seconds.", [0.1, 1], ("path",))
    histogram.observe(0.25, "/api/users")
    histogram.bind("/").observe(0.3, trace_id="4bf92f3577b34da6a3ce929d0e0e4736", span_id="00f067aa0ba902b7")
    registry.add_exporter(LogFile())
    registry.retune(export_interval=5, batch_size=100, max_series=10, export_timeout=1)
    registry.remove("users")
    registry.add_exporter(Page())
    registry.add_exporter(RecordingExporter([MetricKind.COUNTER]))


def observe(manager: Manager) -> dict[str, bool]:
    """
    The records of a host, its plugins and their instances.
    """
    said: ObservabilityMetrics = manager.observability()
    share: float = said.overall_success_rate
    for plugin in said.plugin_metrics.values():
        p99: float = plugin.latency.p99
        error: LastError | None = plugin.last_error
        instances: list[InstanceMetrics] = list(plugin.instances.values())
        print(share, p99, error and error.code, [each.health.status for each in instances])
    return {name: plugin.is_draining for name, plugin in said.plugin_metrics.items()}


async def check() -> list[str]:
    """
    The contract.
    """
    return await check_exporter(ExporterSpec("log-file", Options, build))
