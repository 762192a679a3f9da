"""
Which trace is at hand: that of the attempt or the call that has just ended in this task, for exemplars and log records.

What lives here: remembering it. What must not: making spans.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

from opentelemetry.trace import format_span_id, format_trace_id, get_current_span

if TYPE_CHECKING:
    from opentelemetry.trace import Span, SpanContext

    from remora.types import Call, TraceIds

_NONE: TraceIds = {"trace_id": "", "span_id": ""}

_ended: ContextVar[tuple[str, SpanContext] | None] = ContextVar("remora_otel_ended", default=None)
"""The request id and the span of what has ended last; when a call is counted, its span is not current any more."""


def note(call: Call, span: Span) -> None:
    """
    Remember the span of an attempt or a call that ends now.
    """
    _ended.set((call.request_id, span.get_span_context()))


def trace_ids(call: Call, /) -> TraceIds:
    """
    The trace and the span of a call that has just ended; of one that got no span, those that it was made in. Empty
    where nobody records the trace.
    """
    ended = _ended.get()
    found = ended[1] if ended is not None and ended[0] == call.request_id else get_current_span().get_span_context()
    if not (found.is_valid and found.trace_flags.sampled):
        return _NONE
    return {"trace_id": format_trace_id(found.trace_id), "span_id": format_span_id(found.span_id)}
