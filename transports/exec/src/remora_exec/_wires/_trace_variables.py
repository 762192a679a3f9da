"""
The context of a trace in environment variables, named as OpenTelemetry specifies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLES = {"traceparent": "TRACEPARENT", "tracestate": "TRACESTATE", "baggage": "BAGGAGE"}


def to_variables(headers: Mapping[str, str]) -> dict[str, str]:
    """
    The environment variables for the trace headers of a call.
    """
    return {variable: headers[name] for name, variable in _VARIABLES.items() if name in headers}


def from_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """
    The trace headers for the environment variables of a process.
    """
    return {name: variables[variable] for name, variable in _VARIABLES.items() if variable in variables}
