"""
A manager over scripted plugins in virtual time: what the tests of resilience start with.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio

from remora import Call, Manager, RemoraError, Reply, Unavailable, hookimpl
from remora.testing import ScriptedPlugin, ScriptedTransport
from remora.types import BreakerChanged, Event
from tests.core.hosts import Text

E = TypeVar("E", bound=Event)

QUIET: dict[str, Any] = {
    "retry": {"max_retries": 0},
    "circuit_breaker": {"enabled": False},
    "health_check": {"enabled": False},
}
"""Settings under which nothing happens by itself; a test switches on what it is about."""


def ouch() -> RemoraError:
    """
    The plugin cannot be reached.
    """
    return Unavailable("ouch")


@dataclass(eq=False)
class Recorder:
    """
    An extension that writes down the events, and when they came on the event loop's clock.
    """

    events: list[Event] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    @hookimpl
    def remora_event(self, event: Event) -> None:
        """
        Write it down.
        """
        self.events.append(event)
        self.times.append(anyio.current_time())


@dataclass
class Stage:
    """
    A manager, and the scripted plugins behind it.
    """

    manager: Manager
    transport: ScriptedTransport
    recorder: Recorder

    def __getitem__(self, address: str) -> ScriptedPlugin:
        return self.transport.plugin(address)

    def events(self, kind: type[E]) -> list[E]:
        """
        The events of a kind so far.
        """
        return [event for event in self.recorder.events if isinstance(event, kind)]

    @property
    def now(self) -> float:
        """
        The time.
        """
        return anyio.current_time()

    def breaker_changes(self) -> list[tuple[float, str]]:
        """
        When the breakers changed, and to what.
        """
        timed = zip(self.recorder.times, self.recorder.events, strict=True)
        return [(time, event.after) for time, event in timed if isinstance(event, BreakerChanged)]

    async def call(self, name: str = "p", text: str = "hello", **options: Any) -> str:
        """
        The answer to a call.
        """
        return (await self.manager.plugin(name, Text, Text).execute(Text(text), **options)).text

    async def outcome(self, name: str = "p", **options: Any) -> RemoraError | None:
        """
        The error that a call ends with; None when it is answered.
        """
        try:
            await self.call(name, **options)
        except RemoraError as error:
            return error
        return None

    async def outcomes(self, count: int, name: str = "p", **options: Any) -> list[RemoraError | None]:
        """
        How so many calls end, one after the other.
        """
        return [await self.outcome(name, **options) for _ in range(count)]

    async def at_once(self, count: int, name: str = "p", **options: Any) -> list[RemoraError | None]:
        """
        How so many calls end that are begun together, in the order of their ends.
        """
        found: list[RemoraError | None] = []

        async def one() -> None:
            found.append(await self.outcome(name, **options))

        async with anyio.create_task_group() as group:
            for _ in range(count):
                group.start_soon(one)
        return found

    async def traffic(self, seconds: float, rate: float, name: str = "p", **options: Any) -> list[RemoraError | None]:
        """
        How calls end that come at an even rate, whether or not earlier ones have ended.
        """
        found: list[RemoraError | None] = []

        async def one() -> None:
            found.append(await self.outcome(name, **options))

        async with anyio.create_task_group() as group:
            for _ in range(round(seconds * rate)):
                group.start_soon(one)
                await anyio.sleep(1 / rate)
        return found

    async def reply(self, name: str = "p", text: str = "hello") -> Reply:
        """
        The raw reply to a call, with its headers.
        """
        call = Call(payload=b'{"text":"%s"}' % text.encode(), request_id="r")
        return await self.manager._fleet[name].caller.pipeline(call, None)

    def route(self, name: str = "p") -> Any:
        """
        The inner state of a plugin.
        """
        return self.manager._fleet[name].route


def table(addresses: str | Sequence[object] = "a", **settings: Any) -> dict[str, Any]:
    """
    A plugin's table: scripted plugins at the addresses, quiet unless the settings say otherwise.
    """
    endpoints = [f"script:{each}" if isinstance(each, str) else each for each in addresses]
    return {"endpoints": endpoints, **QUIET, **settings}


def endpoint(address: str, **settings: Any) -> dict[str, Any]:
    """
    One endpoint with its own settings.
    """
    return {"url": f"script:{address}", **settings}


@asynccontextmanager
async def stage(
    *tables: dict[str, Any],
    seed: int = 7,
    script: Callable[[ScriptedTransport], object] | None = None,
    extensions: Sequence[object] = (),
    config: Mapping[str, object] | None = None,
    **named: Any,
) -> AsyncIterator[Stage]:
    """
    A running manager; the table given by position is the plugin `p`.
    """
    transport, recorder = ScriptedTransport(), Recorder()
    if script is not None:
        script(transport)
    plugins = {**({"p": tables[0]} if tables else {}), **named}
    all_extensions = [transport.extension, recorder, *extensions]
    async with Manager(
        {"plugins": plugins, **(config or {})}, extensions=all_extensions, rng=random.Random(seed)
    ) as manager:
        await anyio.sleep(0.001)  # virtual: the instances are ready
        yield Stage(manager, transport, recorder)
