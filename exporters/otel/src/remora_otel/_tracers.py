"""
Which tracer counts: that of the SDK that the application has set up, or of the one that Remora has.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry import trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Tracer, TracerProvider

_NAME = "remora"
_own: list[Callable[[], TracerProvider]] = []


def tracer() -> Tracer | None:
    """
    What makes spans; None when nobody wants any.
    """
    if application_traces():
        return trace.get_tracer(_NAME)
    return _own[-1]().get_tracer(_NAME) if _own else None


def application_traces() -> bool:
    """
    Whether the application has set up an SDK of its own.
    """
    return not isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider | trace.NoOpTracerProvider)


def adopt(provider: Callable[[], TracerProvider]) -> None:
    """
    Let a provider count until `drop`; it is asked for when it is needed.
    """
    _own.append(provider)


def drop(provider: Callable[[], TracerProvider]) -> None:
    """
    Let a provider count no more.
    """
    _own.remove(provider)
