"""
Spans: one for a call, one for each of its attempts, and one for the answer in the served plugin.

What lives here: what is written into spans, and how their context crosses the wire. What must not: where spans are
sent (see `_traces`). Only OpenTelemetry's API is used, so that whatever SDK the application has set up gets them.

Names and attributes follow the semantic conventions for RPC; `remora.*` is what they have no word for.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from opentelemetry import context as contexts
from opentelemetry.propagate import extract, inject
from opentelemetry.trace import SpanKind, Status, StatusCode, set_span_in_context

from remora.errors import RemoraError
from remora_otel._at_hand import note

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from opentelemetry.trace import Span, Tracer
    from opentelemetry.util.types import AttributeValue

    from remora.protocols import AttemptInterceptor, Interceptor
    from remora.types import Attempt, Call, Reply

    Proceed = Callable[[Call], Awaitable[Reply]]

SYSTEMS = {"http": "connectrpc", "https": "connectrpc", "grpc": "grpc", "grpcs": "grpc"}
"""What `rpc.system.name` says, by the scheme of an endpoint; other schemes speak for themselves."""

_CLIENT = SpanKind.CLIENT
_CODE = "rpc.response.status_code"


def call_spans(tracer: Tracer, plugin: str) -> Interceptor:
    """
    What gives every call of a plugin a span, which is current while the call is under way.
    """

    async def in_span(call: Call, proceed: Proceed, /) -> Reply:
        name = call.name
        attributes = {"rpc.method": name, "remora.plugin": plugin, "remora.request_id": call.request_id}
        context = contexts.get_current()  # looked up once; OpenTelemetry would do so for every question
        span = tracer.start_span(f"{plugin} {name}", context, _CLIENT, attributes)
        token = contexts.attach(set_span_in_context(span, context))
        try:
            return await _lasting(span, proceed, call)
        finally:
            contexts.detach(token)
            note(call, span)

    return in_span


def attempt_spans(tracer: Tracer, plugin: str) -> AttemptInterceptor:
    """
    What gives every attempt a span below that of its call, and tells the plugin about it.
    """
    place_of = lru_cache(maxsize=1024)(partial(_place, plugin))  # bounded, since instances come and go

    async def in_span(call: Call, proceed: Proceed, /, *, attempt: Attempt) -> Reply:
        place = place_of(attempt.instance, attempt.endpoint.scheme, attempt.endpoint.address)
        name, context = call.name, contexts.get_current()
        attributes = {**place, "rpc.method": name, "remora.attempt": attempt.number}
        span = tracer.start_span(name, context, _CLIENT, attributes)
        headers = dict(call.headers)
        inject(headers, set_span_in_context(span, context))
        try:
            return await _lasting(span, proceed, call.with_headers(headers))
        finally:
            note(call, span)

    return in_span


def served_spans(tracer: Tracer) -> Interceptor:
    """
    What gives every call that a plugin answers a span, below that of the caller's attempt where it sent one.
    """

    async def in_span(call: Call, proceed: Proceed, /) -> Reply:
        attributes = {"rpc.method": call.name, "remora.request_id": call.request_id}
        parent = extract(call.headers)
        span = tracer.start_span(call.name, parent, SpanKind.SERVER, attributes)
        token = contexts.attach(set_span_in_context(span, parent))
        try:
            return await _lasting(span, proceed, call)
        finally:
            contexts.detach(token)

    return in_span


async def _lasting(span: Span, proceed: Proceed, call: Call) -> Reply:
    """
    Go on inside a span, which ends with that and says how.
    """
    try:
        reply = await proceed(call)
        span.set_attribute(_CODE, "OK")
        return reply
    except BaseException as error:
        _note_failure(span, error)
        raise
    finally:
        span.end()


def _note_failure(span: Span, error: BaseException) -> None:
    """
    Write into a span what has ended it. A cancellation is no error of the call.
    """
    if isinstance(error, RemoraError):
        code = str(error.code)
        span.set_attributes({_CODE: code, "error.type": code})
        span.set_status(Status(StatusCode.ERROR, _sendable(error.message)))
        return
    span.set_attribute(_CODE, "CANCELLED")
    if isinstance(error, Exception):
        span.set_attribute("error.type", type(error).__qualname__)
        span.set_status(Status(StatusCode.ERROR))


def _sendable(text: str) -> str:
    """
    A text that can be written: one that cannot, for half of a surrogate pair, would be lost with all spans beside it.
    """
    return text.encode("utf-8", "backslashreplace").decode()


def _place(plugin: str, instance: str, scheme: str, address: str) -> dict[str, AttributeValue]:
    """
    What is the same for all attempts at one instance.
    """
    place: dict[str, AttributeValue] = {
        "rpc.system.name": SYSTEMS.get(scheme, scheme),
        "remora.plugin": plugin,
        "remora.instance": instance,
    }
    parts = urlsplit(f"//{address}")
    if scheme in SYSTEMS and parts.hostname:
        place["server.address"] = parts.hostname
        if parts.port is not None:
            place["server.port"] = parts.port
    elif scheme == "unix":
        place["server.address"] = address
    return place
