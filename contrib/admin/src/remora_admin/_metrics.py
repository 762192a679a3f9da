"""
The metrics of a host in Prometheus' formats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from remora_prometheus import RemoraCollector

if TYPE_CHECKING:
    from remora import MetricsRegistry


def exposition(metrics: MetricsRegistry, accept: str) -> tuple[bytes, str]:
    """
    What a scraper gets that sends such an `Accept` header, and the media type of it.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(RemoraCollector(metrics.snapshot))
    encode, content_type = choose_encoder(accept)
    return encode(registry), content_type
