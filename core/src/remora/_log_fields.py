"""
The structured fields of Remora's own log records: which plugin, which instance, which call, which trace.

What lives here: `extra` for `logging`. What must not: loggers, levels, formats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remora.errors import RemoraError
    from remora.types import Call, Event


def of_event(event: Event) -> dict[str, object]:
    """
    What an event is about.
    """
    fields = {name: getattr(event, name, None) for name in ("plugin", "instance")}
    return {"event": type(event).__name__, **{name: value for name, value in fields.items() if value}}


def of_call(call: Call, error: RemoraError) -> dict[str, object]:
    """
    What a call that has failed is about.
    """
    fields = {
        "plugin": error.plugin,
        "instance": error.instance,
        "request_id": error.request_id,
        "trace_id": _trace_id(call),
    }
    return {"code": str(error.code), "method": call.name, **{name: value for name, value in fields.items() if value}}


def _trace_id(call: Call) -> str:
    """
    The trace that a call belongs to, as its header `traceparent` says; empty when it does not.
    """
    parts = call.headers.get("traceparent", "").split("-")
    return parts[1] if len(parts) >= 4 and len(parts[1]) == 32 else ""
