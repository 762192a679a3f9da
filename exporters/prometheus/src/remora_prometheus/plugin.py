"""
What the entry point `prometheus` leads to: the description of the exporter, and nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remora.hookspecs import hookimpl
from remora.specs import ExporterSpec
from remora.values import Count, Port, dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable

    from remora.protocols import PullExporter

__all__ = ["Options", "build", "remora_register_metric_exporters"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """
    Where metrics can be scraped.

    Attributes:
        port: The port of `/metrics`; by default that of OpenTelemetry's Prometheus exporters.
        host: The address to listen at; by default only this machine is answered.
        ports: How many ports may be tried, from `port` on. Each process of an application takes the first free one.
    """

    port: Port = 9464
    host: str = "127.0.0.1"
    ports: Count = 1


def build(options: Options) -> PullExporter:
    """
    The exporter for one manager.
    """
    from remora_prometheus._exporter import PrometheusExporter

    return PrometheusExporter(port=options.port, host=options.host, ports=options.ports)


@hookimpl
def remora_register_metric_exporters() -> Iterable[ExporterSpec[Options]]:
    """
    The exporter `prometheus`.
    """
    return [ExporterSpec(name="prometheus", options=Options, build=build)]
