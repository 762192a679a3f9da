"""
An OpenTelemetry collector of the smallest kind: a gRPC server that keeps what OTLP exporters send.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from queue import Empty, Queue
from threading import Thread
from typing import Any

import grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc


@dataclass(frozen=True)
class ReceivedSpan:
    """
    A span as it arrived.
    """

    name: str
    kind: str
    process: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    is_error: bool


@dataclass
class Receiver:
    """
    What has arrived so far.
    """

    endpoint: str
    spans: list[ReceivedSpan] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    arrivals: Queue[None] = field(default_factory=Queue)
    resource: dict[str, Any] = field(default_factory=dict)
    numbers: Queue[tuple[str, float]] = field(default_factory=Queue)
    _seen: dict[str, float] = field(default_factory=dict)

    def wait_for_spans(self, count: int, seconds: float = 20) -> list[ReceivedSpan]:
        """
        Wait, in a thread, until so many spans have arrived.
        """
        while len(self.spans) < count:
            try:
                self.arrivals.get(timeout=seconds)
            except Empty:
                break
        return list(self.spans)

    def next_number(self, name: str, seconds: float = 20) -> float:
        """
        Wait, in a thread, for the next number of a counter that is another one than before, and not nothing.
        """
        while True:
            found, number = self.numbers.get(timeout=seconds)
            if found == name and number and number != self._seen.get(name):
                self._seen[name] = number
                return number


@contextmanager
def receiving() -> Iterator[Receiver]:
    """
    Receive while the context lasts.
    """
    server = grpc.server(ThreadPoolExecutor(4))
    receiver = Receiver(f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(_Traces(receiver), server)
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(_Metrics(receiver), server)
    server.start()
    try:
        yield receiver
    finally:
        server.stop(0).wait()


class _Traces(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def Export(self, request, context):
        for resource in request.resource_spans:
            process = _attributes(resource.resource.attributes).get("service.name", "")
            for scope in resource.scope_spans:
                self._receiver.spans += [_span(each, process) for each in scope.spans]
        self._receiver.arrivals.put(None)
        return trace_service_pb2.ExportTraceServiceResponse()


class _Metrics(metrics_service_pb2_grpc.MetricsServiceServicer):
    def __init__(self, receiver: Receiver) -> None:
        self._receiver = receiver

    def Export(self, request, context):
        for resource in request.resource_metrics:
            self._receiver.resource |= _attributes(resource.resource.attributes)
            for scope in resource.scope_metrics:
                self._receiver.metrics |= {metric.name: metric for metric in scope.metrics}
                for metric in scope.metrics:
                    for point in metric.sum.data_points:
                        self._receiver.numbers.put((metric.name, point.as_double or point.as_int))
        self._receiver.arrivals.put(None)
        return metrics_service_pb2.ExportMetricsServiceResponse()


def _span(span: Any, process: str) -> ReceivedSpan:
    return ReceivedSpan(
        name=span.name,
        kind=type(span).SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        process=process,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        attributes=_attributes(span.attributes),
        is_error=span.status.code == 2,
    )


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


@contextmanager
def receiving_http() -> Iterator[Receiver]:
    """
    The same over HTTP.
    """
    receiver = Receiver("")
    traces, metrics = _Traces(receiver), _Metrics(receiver)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            if self.path == "/v1/traces":
                traces.Export(trace_service_pb2.ExportTraceServiceRequest.FromString(body), None)
            else:
                metrics.Export(metrics_service_pb2.ExportMetricsServiceRequest.FromString(body), None)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """
            Say nothing.
            """

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.endpoint = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
