"""
The attempts of a call, and what goes with them on the host's side alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypedDict

from remora.types._endpoints import Endpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """
    One of the attempts of a call.

    Attributes:
        number: 1 for the first, 2 for the first retry.
        plugin: The configured name of the plugin.
        instance: The name of the instance that it is sent to.
        endpoint: The address of that instance.
    """

    number: int
    plugin: str
    instance: str
    endpoint: Endpoint


class TraceIds(TypedDict):
    """
    A trace and a span of it, both in hexadecimal digits; empty where there are none.
    """

    trace_id: str
    span_id: str


@dataclass(frozen=True, slots=True)
class Refresh:
    """
    What the flow of an `AuthMethod` yields, instead of a call, when it needs something awaited, such as a new token.

    Attributes:
        action: Called without arguments and awaited. What it returns is sent into the flow, what it raises is thrown.
            Calls that ask for an equal action meanwhile share its run, which goes on when they run out of time.
        is_awaited: Whether the flow waits for it. If not, None is sent in at once.
    """

    action: Callable[[], Awaitable[object]]
    is_awaited: bool = True
