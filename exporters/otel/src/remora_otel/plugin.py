"""
What this distribution adds to Remora: spans of all calls, on both sides, and an exporter of metrics.
"""

from __future__ import annotations

import atexit
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from remora import ExporterSpec, InterceptorSpec, Secret, hookimpl
from remora.errors import ConfigError
from remora.values import Duration, dataclass

if TYPE_CHECKING:
    from remora.protocols import AttemptInterceptor, Interceptor, MetricExporter, Tracing
    from remora_otel._traces import Wire

_OUTERMOST = -1000
_STANDARD = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""The variables that make a served plugin send its spans by itself."""
_UNSENDABLE = re.compile(r"^\s|[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """
    The table `[exporters.otel]`. For keys that are left out, the standard variables `OTEL_*` count.

    Attributes:
        endpoint: Where the collector is, such as "http://127.0.0.1:4317".
        protocol: "grpc", or "http/protobuf" ("http" for short); by default "grpc".
        headers: Headers to send with every request, such as an authorization.
        service_name: The name of this process in the telemetry (`service.name`).
        timeout: Seconds that one request may take; by default 10.
        traces: Whether spans are sent.
        metrics: Whether metrics are sent.
    """

    endpoint: str = ""
    protocol: str = ""
    headers: Mapping[str, Secret] = field(default_factory=dict)
    service_name: str = ""
    timeout: Duration | None = None
    traces: bool = True
    metrics: bool = True

    def plain_headers(self) -> dict[str, str] | None:
        """
        The headers as they are sent; None for what the standard variables say.
        """
        return {name.lower(): value.reveal() for name, value in self.headers.items()} or None


def build_exporter(options: Options) -> MetricExporter:
    """
    Make the exporter, and have spans sent for as long as it lives.
    """
    from remora_otel._exporter import OtelExporter

    _check_headers(options)
    return OtelExporter(options, _wire(options))


def build_call_spans(plugin: str) -> Interceptor | None:
    """
    Make what gives the calls of a plugin spans; None where nobody wants any.
    """
    if not _is_loaded():
        return None
    from remora_otel._spans import call_spans
    from remora_otel._tracers import tracer

    found = tracer()
    return None if found is None else call_spans(found, plugin)


def build_attempt_spans(plugin: str) -> AttemptInterceptor | None:
    """
    Make what gives each attempt a span; None where nobody wants any.
    """
    if not _is_loaded():
        return None
    from remora_otel._spans import attempt_spans
    from remora_otel._tracers import tracer

    found = tracer()
    return None if found is None else attempt_spans(found, plugin)


def build_served_spans() -> Interceptor | None:
    """
    Make what gives the answers of a served plugin spans; None where nobody wants any.
    """
    if not (_is_loaded() or any(os.environ.get(name) for name in _STANDARD)):
        return None
    from remora_otel._spans import served_spans
    from remora_otel._tracers import tracer
    from remora_otel._traces import open_traces

    if tracer() is None and any(os.environ.get(name) for name in _STANDARD):
        options = Options()
        if (traces := open_traces(options, _wire(options))) is not None:
            atexit.register(traces.close)
    found = tracer()
    return None if found is None else served_spans(found)


def build_tracing() -> Tracing | None:
    """
    Make what knows the trace of a call; None where nobody wants any.
    """
    if not _is_loaded():
        return None
    from remora_otel._at_hand import trace_ids
    from remora_otel._tracers import tracer

    return None if tracer() is None else trace_ids


def _check_headers(options: Options) -> None:
    """
    Refuse values that OpenTelemetry's exporters cannot send: they would write them into the log.
    """
    for name, value in options.headers.items():
        if _UNSENDABLE.search(value.reveal()):
            raise ConfigError(f"headers.{name}: begins with a space, or has a line break or another control character")


def _wire(options: Options) -> Wire:
    protocol = options.protocol or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    if protocol == "grpc":
        if "@" in options.endpoint:  # gRPC sends no user, and the exporters name the whole address in the log
            raise ConfigError("endpoint: holds credentials, which are not sent over gRPC; they belong in `headers`")
        from remora_otel import _over_grpc

        return _over_grpc
    if protocol in ("http", "http/protobuf"):
        from remora_otel import _over_http

        return _over_http
    raise ConfigError(f'protocol: expected "grpc" or "http/protobuf", got {protocol!r}')


def _is_loaded() -> bool:
    """
    Whether anybody uses OpenTelemetry in this process; to find out more takes longer than a plugin takes to start.
    """
    return "opentelemetry.trace" in sys.modules


@hookimpl
def remora_register_interceptors() -> list[InterceptorSpec]:
    """
    Spans are outermost, so that they cover what other interceptors do.
    """
    return [
        InterceptorSpec(
            name="otel",
            build=build_call_spans,
            order=_OUTERMOST,
            attempt=build_attempt_spans,
            serve=build_served_spans,
            waits=False,
            tracing=build_tracing,
        )
    ]


@hookimpl
def remora_register_metric_exporters() -> list[ExporterSpec[Options]]:
    """
    Metrics over OTLP.
    """
    return [ExporterSpec(name="otel", options=Options, build=build_exporter)]
