"""
Hosts and plugins in one process, for the tests of core: what they all start with.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio
import pytest

from remora import (
    Call,
    CurrentCall,
    HealthStatus,
    Manager,
    RemoraError,
    Reply,
    Status,
    TransportSpec,
    current_call,
    hookimpl,
    serving,
)
from remora.protocols import Channel
from remora.testing import MemoryTransport
from remora.types import Event

E = TypeVar("E", bound=Event)


@dataclass(frozen=True)
class Text:
    """
    Any text.
    """

    text: str = ""


class Echo:
    """
    A service with something to wait for.
    """

    def __init__(self) -> None:
        self.seen: list[CurrentCall] = []
        self.entered = anyio.Event()
        self.release = anyio.Event()

    async def echo(self, request: Text) -> Text:
        """
        The same text.
        """
        self.seen.append(current_call())
        return request

    async def hold(self, request: Text) -> Text:
        """
        The same text, once it is released.
        """
        self.entered.set()
        await self.release.wait()
        return request

    async def sleep(self, request: Text) -> Text:
        """
        The same text, after an hour.
        """
        await anyio.sleep(3600)
        return request


@dataclass
class Bench:
    """
    A manager and the plugin `p` that it calls.
    """

    manager: Manager
    service: Echo
    transport: MemoryTransport

    async def call(self, method: str = "echo", text: str = "hello", **options: Any) -> str:
        """
        The answer of a method.
        """
        plugin = self.manager.plugin("p", Text, Text, method=method)
        return (await plugin.execute(Text(text), **options)).text


@asynccontextmanager
async def bench(
    *extensions: object, beside: Mapping[str, dict[str, object]] | None = None, **table: object
) -> AsyncIterator[Bench]:
    """
    A running manager whose plugin `p` is served at `memory:p`, with other plugins beside it.
    """
    transport, service = MemoryTransport(), Echo()
    config = {"plugins": {"p": {"endpoint": "memory:p", **table}, **(beside or {})}}
    async with serving(service, listen="memory:p", extensions=[transport.extension]):
        async with Manager(config, extensions=[transport.extension, *extensions]) as manager:
            yield Bench(manager, service, transport)


class Named:
    """
    A service that says who it is.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    async def who(self, request: Text) -> Text:
        """
        The name.
        """
        return Text(self._name)


async def next_of(events: AsyncIterator[Event], kind: type[E]) -> E:
    """
    The next event of a kind.
    """
    async for event in events:
        if isinstance(event, kind):
            return event
    raise AssertionError("the manager has ended")


class PlainChannel:
    """
    A channel that answers with the request.
    """

    async def call(self, call: Call) -> Reply:
        """
        Echo.
        """
        return Reply(payload=call.payload, content_type=call.content_type)

    async def probe(self) -> HealthStatus:
        """
        Always well.
        """
        return HealthStatus(status=Status.HEALTHY)


Open = Callable[[int], AbstractAsyncContextManager[Any]]


@dataclass(frozen=True)
class NoOptions:
    """
    Nothing to say.
    """


@dataclass
class Stranger:
    """
    An extension with a transport that does what a test wants; `open` gets the number of the attempt, from 1.
    """

    opens: Open
    launches: bool = False
    native_deadline: bool = False
    attempts: int = 0
    schemes: tuple[str, ...] = ("strange",)

    @hookimpl
    def remora_register_transports(self) -> list[TransportSpec[NoOptions]]:
        """
        The transport.
        """
        build: Any = lambda _: self  # noqa: E731
        return [
            TransportSpec(
                "strange",
                self.schemes,
                NoOptions,
                build,
                native_deadline=self.native_deadline,
                launches=self.launches,
            )
        ]

    def open(self, endpoint: object) -> AbstractAsyncContextManager[Channel]:
        """
        Open it.
        """
        self.attempts += 1
        return self.opens(self.attempts)

    def listen(self, endpoint: object, dispatch: object) -> Any:
        """
        Not for serving.
        """
        raise NotImplementedError


@dataclass
class Observer:
    """
    An extension that writes down the events.
    """

    events: list[Any] = field(default_factory=list)

    @hookimpl
    def remora_event(self, event: object) -> None:
        """
        Write it down.
        """
        self.events.append(event)

    def names(self) -> Sequence[str]:
        """
        The kinds of the events so far.
        """
        return [type(event).__name__ for event in self.events]


def strange(**table: object) -> dict[str, object]:
    """
    A configuration with the plugin `p` over the stranger's transport.
    """
    return {"plugins": {"p": {"endpoint": "strange:p", **table}}}


async def failure(attempt: Awaitable[object]) -> RemoraError:
    """
    The error of an attempt.
    """
    with pytest.raises(RemoraError) as caught:
        await attempt
    return caught.value
