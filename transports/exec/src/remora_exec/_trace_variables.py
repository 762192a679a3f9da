"""
The context of a trace in the environment of a process, by the names that OpenTelemetry gives it there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_VARIABLES = {"traceparent": "TRACEPARENT", "tracestate": "TRACESTATE", "baggage": "BAGGAGE"}


def to_variables(headers: Mapping[str, str]) -> dict[str, str]:
    """
    The variables for the headers of a call.
    """
    return {variable: headers[name] for name, variable in _VARIABLES.items() if name in headers}


def from_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """
    The headers that the variables of a process stand for.
    """
    return {name: variables[variable] for name, variable in _VARIABLES.items() if variable in variables}
