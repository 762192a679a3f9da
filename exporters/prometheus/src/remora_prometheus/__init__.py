"""
Prometheus metrics for Remora.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remora_prometheus._collector import RemoraCollector
    from remora_prometheus._exporter import PrometheusExporter
else:  # a type checker would take any name for one of this package

    def __getattr__(name: str) -> object:
        """
        A public name, imported when it is first used: reading the entry point imports nothing heavy.
        """
        if name == "RemoraCollector":
            from remora_prometheus._collector import RemoraCollector

            return RemoraCollector
        if name == "PrometheusExporter":
            from remora_prometheus._exporter import PrometheusExporter

            return PrometheusExporter
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["PrometheusExporter", "RemoraCollector"]
