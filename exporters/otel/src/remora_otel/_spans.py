"""
Spans: one for a call, one for each of its attempts, and one for the answer in the served plugin.

What lives here: what is written into spans, and how their context crosses the wire. What must not: where spans are
sent (see `_providers`). Only OpenTelemetry's API is used, so that whatever SDK the application has set up gets them.

Names and attributes follow the semantic conventions for RPC; `remora.*` is what they have no word for.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opentelemetry import context as contexts
from opentelemetry.propagate import extract, inject
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

from remora.errors import RemoraError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

    from opentelemetry.context import Context
    from opentelemetry.trace import Span, Tracer
    from opentelemetry.util.types import AttributeValue

    from remora.protocols import AttemptInterceptor, Interceptor
    from remora.types import Attempt, Call, Endpoint, Reply

    Proceed = Callable[[Call], Awaitable[Reply]]

SYSTEMS = {"http": "connectrpc", "https": "connectrpc", "grpc": "grpc", "grpcs": "grpc"}
"""What `rpc.system.name` says, by the scheme of an endpoint; other schemes speak for themselves."""


def call_spans(tracer: Tracer, plugin: str) -> Interceptor:
    """
    What gives every call of a plugin a span, which is current while the call is under way.
    """

    async def in_span(call: Call, proceed: Proceed, /) -> Reply:
        attributes = {"rpc.method": call.name, "remora.plugin": plugin, "remora.request_id": call.request_id}
        with _span(tracer, f"{plugin} {call.name}", SpanKind.CLIENT, attributes) as span, _current(span):
            return await proceed(call)

    return in_span


def attempt_spans(tracer: Tracer, plugin: str) -> AttemptInterceptor:
    """
    What gives every attempt a span below that of its call, and tells the plugin about it.
    """
    places: dict[str, Mapping[str, AttributeValue]] = {}

    async def in_span(call: Call, proceed: Proceed, /, *, attempt: Attempt) -> Reply:
        place = places.get(attempt.instance)
        if place is None:
            place = places[attempt.instance] = _place(plugin, attempt.instance, attempt.endpoint)
        attributes = {**place, "rpc.method": call.name, "remora.attempt": attempt.number}
        with _span(tracer, call.name, SpanKind.CLIENT, attributes) as span:
            headers = dict(call.headers)
            inject(headers, set_span_in_context(span))
            return await proceed(replace(call, headers=headers))

    return in_span


def served_spans(tracer: Tracer) -> Interceptor:
    """
    What gives every call that a plugin answers a span, below that of the caller's attempt where it sent one.
    """

    async def in_span(call: Call, proceed: Proceed, /) -> Reply:
        attributes = {"rpc.method": call.name, "remora.request_id": call.request_id}
        parent = extract(call.headers)
        with _span(tracer, call.name, SpanKind.SERVER, attributes, parent) as span, _current(span, parent):
            return await proceed(call)

    return in_span


@contextmanager
def _span(
    tracer: Tracer,
    name: str,
    kind: SpanKind,
    attributes: Mapping[str, AttributeValue],
    parent: Context | None = None,
) -> Iterator[Span]:
    """
    A span that ends with the block, with the code of whatever ends it.
    """
    span = tracer.start_span(name, parent, kind, attributes)
    try:
        yield span
        span.set_attribute("rpc.response.status_code", "OK")
    except RemoraError as error:
        code = str(error.code)
        span.set_attributes({"rpc.response.status_code": code, "error.type": code})
        span.set_status(Status(StatusCode.ERROR, error.message))
        raise
    except BaseException as error:  # a cancellation is no error of the call
        span.set_attribute("rpc.response.status_code", "CANCELLED")
        if isinstance(error, Exception):
            span.set_attribute("error.type", type(error).__qualname__)
            span.set_status(Status(StatusCode.ERROR))
        raise
    finally:
        span.end()


@contextmanager
def _current(span: Span, parent: Context | None = None) -> Iterator[None]:
    token = contexts.attach(set_span_in_context(span, parent))
    try:
        yield
    finally:
        contexts.detach(token)


def _place(plugin: str, instance: str, endpoint: Endpoint) -> dict[str, AttributeValue]:
    """
    What is the same for all attempts at one instance.
    """
    place: dict[str, AttributeValue] = {
        "rpc.system.name": SYSTEMS.get(endpoint.scheme, endpoint.scheme),
        "remora.plugin": plugin,
        "remora.instance": instance,
    }
    address = urlsplit(f"//{endpoint.address}")
    if endpoint.scheme in SYSTEMS and address.hostname:
        place["server.address"] = address.hostname
        if address.port is not None:
            place["server.port"] = address.port
    elif endpoint.scheme == "unix":
        place["server.address"] = endpoint.address
    return place
