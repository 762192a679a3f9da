"""
Where spans go: to the SDK that the application has set up, or to one that is set up here.

What lives here: which tracer counts. What must not: spans (see `_spans`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from opentelemetry import trace

from remora.errors import ConfigError

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Tracer

    from remora_otel.plugin import Options

_NAME = "remora"
_STANDARD = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_own: list[TracerProvider] = []


def tracer() -> Tracer | None:
    """
    What makes spans; None when nobody wants any.
    """
    if _has_application_sdk():
        return trace.get_tracer(_NAME)
    return _own[-1].get_tracer(_NAME) if _own else None


def served_tracer() -> Tracer | None:
    """
    The same in a served plugin, whose program may leave the setting up to the standard variables `OTEL_*`.
    """
    if tracer() is None and any(os.environ.get(name) for name in _STANDARD) and not _is_off():
        from remora_otel.plugin import Options

        open_traces(Options())
    return tracer()


def open_traces(options: Options) -> TracerProvider | None:
    """
    Have spans sent as the options say, unless the application sends them already.

    Raises:
        ConfigError: The protocol is none that OTLP has.
    """
    if _has_application_sdk() or _is_off():
        return None
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=resource(options))
    provider.add_span_processor(BatchSpanProcessor(_span_exporter(options)))
    _own.append(provider)
    return provider


def close_traces(provider: TracerProvider) -> None:
    """
    Send what is left, and give the provider up. Blocks.
    """
    _own.remove(provider)
    provider.shutdown()


def resource(options: Options) -> Resource:
    """
    What the telemetry says about the process: the standard variables, and the name in the options.
    """
    from opentelemetry.sdk.resources import Resource

    return Resource.create({"service.name": options.service_name} if options.service_name else {})


def _has_application_sdk() -> bool:
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider | trace.NoOpTracerProvider)


def _is_off() -> bool:
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return disabled or os.environ.get("OTEL_TRACES_EXPORTER", "").lower() == "none"


def _span_exporter(options: Options) -> SpanExporter:
    if options.wire == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as OverGrpc

        return OverGrpc(endpoint=options.endpoint or None, headers=options.plain_headers(), timeout=options.timeout)
    if options.wire == "http/protobuf":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as OverHttp

        return OverHttp(endpoint=options.path("/v1/traces"), headers=options.plain_headers(), timeout=options.timeout)
    raise ConfigError(f'protocol: OTLP is "grpc" or "http/protobuf", not {options.wire!r}')
