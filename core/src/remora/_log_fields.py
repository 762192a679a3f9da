"""
The structured fields of Remora's own log records: which plugin, which instance, which call, which trace.

What lives here: `extra` for `logging`. What must not: loggers, levels, formats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remora.errors import RemoraError
    from remora.protocols import Tracing
    from remora.types import Call, Event


def of_event(event: Event) -> dict[str, object]:
    """
    The fields of an event.
    """
    fields = {name: getattr(event, name, None) for name in ("plugin", "instance")}
    return {"event_name": type(event).__name__, **{name: value for name, value in fields.items() if value}}


def of_call(call: Call, error: RemoraError, tracing: Tracing | None = None) -> dict[str, object]:
    """
    The fields of a call that has failed.
    """
    fields = {
        "plugin": error.plugin,
        "instance": error.instance,
        "request_id": error.request_id,
        "trace_id": (tracing(call)["trace_id"] if tracing is not None else "") or trace_id_of(call),
    }
    return {"code": str(error.code), "method": call.name, **{name: value for name, value in fields.items() if value}}


def of_served(call: Call) -> dict[str, object]:
    """
    The fields of a call that is being answered, or on its way through third-party code.
    """
    fields = {"method": call.name, "request_id": call.request_id, "trace_id": trace_id_of(call)}
    return {name: value for name, value in fields.items() if value}


def trace_id_of(call: Call) -> str:
    """
    The id of the trace that a call belongs to, from its header `traceparent`; empty when it has none.
    """
    parts = call.headers.get("traceparent", "").split("-")
    return parts[1] if len(parts) >= 4 and len(parts[1]) == 32 else ""
