"""
A transport that shows what its channels are made with.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from remora import Call, HealthStatus, Reply, Status, TransportSpec, hookimpl
from remora.config import ConnectionConfig, HealthCheckConfig, SecurityConfig
from remora.types import Endpoint


@dataclass(frozen=True, kw_only=True)
class Options:
    """
    All that a transport can be told.
    """

    own: str = ""
    protocol: str = ""
    executable: str = ""
    args: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    work_dir: str = ""
    connection: ConnectionConfig = field(default_factory=ConnectionConfig)
    health_check: HealthCheckConfig = field(default_factory=HealthCheckConfig)
    security: SecurityConfig = field(default_factory=SecurityConfig)


@dataclass(frozen=True)
class Spy:
    """
    A transport under two names that shows what its newest channel was made with, and what it carried.
    """

    seen: list[tuple[str, str, Any]] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    @hookimpl
    def remora_register_transports(self) -> list[TransportSpec[Any]]:
        """
        Both.
        """
        return [TransportSpec(name, (name,), Options, builder(self, name)) for name in ("spy", "spook")]


@dataclass(frozen=True)
class _Transport:
    spy: Spy
    name: str
    options: Any

    @asynccontextmanager
    async def open(self, endpoint: Endpoint) -> AsyncIterator[_Channel]:
        self.spy.seen.append((self.name, endpoint.url, self.options))
        yield _Channel(self.spy)

    def listen(self, endpoint: Endpoint, dispatch: object) -> Any:
        raise NotImplementedError


@dataclass(frozen=True)
class _Channel:
    spy: Spy

    async def call(self, call: Call) -> Reply:
        self.spy.calls.append(call)
        if call.method == "Describe":
            return Reply(payload=b'{"name": "spy", "version": "2.0"}')
        return Reply(payload=call.payload, content_type=call.content_type)

    async def probe(self) -> HealthStatus:
        return HealthStatus(status=Status.HEALTHY)


def builder(spy: Spy, name: str) -> Any:
    return lambda options: _Transport(spy, name, options)
