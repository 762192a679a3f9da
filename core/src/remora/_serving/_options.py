"""
What a served plugin may be told: limits, who may call, and options of its extensions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import TYPE_CHECKING

from remora._frozen import dataclass
from remora.values import Limits, check_number

if TYPE_CHECKING:
    from remora.config import AccessConfig, InterceptorConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """
    How a plugin is served.

    Attributes:
        max_concurrent_calls: Calls that are answered at once.
        max_threads: Synchronous handlers that run at once, each in a thread; further calls of such handlers wait. A
            thread is in use until its handler returns, even if the call has ended before.
        drain_timeout: Seconds that calls under way, and then the services, get to end when the plugin is asked to stop.
        transport: Options of the transport, as in a host's `options` table.
        auth: Who may call: a record, a table as in a file, or a text as after `--auth`. None lets everybody call.
        interceptors: Which interceptors are switched off, and the options of others, by name: records, or tables as in
            a host's `[interceptors.NAME]`.
    """

    max_concurrent_calls: int = 1000
    max_threads: int = 40
    drain_timeout: float = 30.0
    transport: Mapping[str, object] = field(default_factory=dict)
    auth: AccessConfig | Mapping[str, object] | str | None = None
    interceptors: Mapping[str, InterceptorConfig | Mapping[str, object]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        check_number("max_concurrent_calls", self.max_concurrent_calls, Limits(1, is_whole=True))
        check_number("max_threads", self.max_threads, Limits(1, is_whole=True))
        check_number("drain_timeout", self.drain_timeout, Limits(0, is_duration=True))
        for name in ("transport", "interceptors"):
            if not isinstance(given := getattr(self, name), Mapping):
                raise ValueError(f"{name}: expected a table, got {type(given).__name__}")  # it may hold secrets


def checked_options(options: ServeOptions | None) -> ServeOptions:
    given: object = ServeOptions() if options is None else options
    if not isinstance(given, ServeOptions):
        raise TypeError(f"the options are to be ServeOptions(...), not a {type(given).__name__}")
    return given
