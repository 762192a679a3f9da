"""
What the claims about transports are checked with: plugins that a transport serves, and calls to them.

What lives here: serving and calling. What must not: any claim.
"""

from __future__ import annotations

import os
import sys
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import anyio

from remora._extensions._registry import load_catalog
from remora._serving._dispatch import Dispatcher
from remora.codecs import JsonCodec
from remora.errors import RemoraError
from remora.testing._claims import NotChecked
from remora.testing._contract import Contract, Text
from remora.types import Call, Endpoint, Reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterator

    from remora.protocols import Channel, Dispatch, Transport
    from remora.specs import TransportSpec

T = TypeVar("T")

SERVICE = "remora.testing.v1.Contract"
BOUND = 10.0
JSON = JsonCodec()


@dataclass(frozen=True)
class Bench:
    spec: TransportSpec[Any]
    options: Any

    def needs_listeners(self) -> None:
        """
        Leave out a claim about plugins that the transport does not start itself.
        """
        if self.spec.launches:
            raise NotChecked("it starts its plugins itself")

    def needs_limit(self) -> None:
        """
        Leave out a claim about transports that bound their messages.
        """
        if not hasattr(self.options, "max_message_size"):
            raise NotChecked("its options have no `max_message_size`")

    def needs_native_deadline(self) -> None:
        """
        Leave out a claim about transports that end calls at their deadlines.
        """
        if not self.spec.native_deadline:
            raise NotChecked("it promises no `native_deadline`")

    def build(self, **changes: object) -> Transport:
        """
        The transport, with some of its options changed.
        """
        return self.spec.build(replace(self.options, **changes))

    @asynccontextmanager
    async def served(self, **changes: object) -> AsyncIterator[tuple[Transport, Endpoint]]:
        """
        The transport, and where the contract's service can be reached with it.
        """
        if self.spec.launches:
            child = {"executable": sys.executable, "args": ("-m", "remora.testing")}
            yield self.build(**child, **changes), Endpoint(f"{self.spec.schemes[0]}:")
            return
        transport = self.build(**changes)
        dispatcher = Dispatcher([Contract()], catalog=load_catalog())
        async with transport.listen(Endpoint(f"{self.spec.schemes[0]}:"), dispatcher) as listener:
            yield transport, listener.endpoint

    @asynccontextmanager
    async def listening(self, dispatch: Dispatch) -> AsyncIterator[tuple[Transport, Endpoint]]:
        """
        The transport, and where it serves a plugin that is made for a claim.
        """
        self.needs_listeners()
        transport = self.build()
        async with transport.listen(Endpoint(f"{self.spec.schemes[0]}:"), dispatch) as listener:
            yield transport, listener.endpoint

    @asynccontextmanager
    async def mirrored(self) -> AsyncIterator[tuple[Channel, list[Call]]]:
        """
        A channel to a plugin that answers with the request, and the calls that it has got.
        """
        calls: list[Call] = []

        async def mirror(call: Call, peer: str) -> Reply:
            if call.method == "mirror":
                calls.append(call)
            return Reply(payload=call.payload, content_type=call.content_type)

        async with self.listening(mirror) as (transport, endpoint), transport.open(endpoint) as channel:
            yield channel, calls

    @asynccontextmanager
    async def connected(self, **changes: object) -> AsyncIterator[Peer]:
        """
        The contract's service, ready to be called.
        """
        async with self.served(**changes) as (transport, endpoint), transport.open(endpoint) as channel:
            yield Peer(channel)


@dataclass(frozen=True)
class Peer:
    channel: Channel

    async def reply(self, method: str, request: object, **facts: Any) -> Reply:
        """
        The raw reply to a call.
        """
        deadline = facts.pop("deadline", None) or anyio.current_time() + BOUND
        call = Call(service=SERVICE, method=method, payload=JSON.encode(request), deadline=deadline, **facts)
        return await self.channel.call(call)

    async def call(self, method: str, request: object, type_: type[T], **facts: Any) -> T:
        """
        The decoded reply to a call.
        """
        return JSON.decode((await self.reply(method, request, **facts)).payload, type_)

    async def echo(self, text: str) -> None:
        """
        Send a text, and see that it comes back.
        """
        answer = await self.call("echo", Text(text), Text)
        assert answer == Text(text), f"the answer to {text[:40]!r} is {answer.text[:40]!r}"


def call_of(method: str, *, deadline: float | None = None, **facts: Any) -> Call:
    return Call(service=SERVICE, method=method, deadline=deadline or anyio.current_time() + BOUND, **facts)


async def error_of(attempt: Awaitable[object]) -> RemoraError:
    """
    The error that an attempt ends with.
    """
    try:
        result = await attempt
    except RemoraError as error:
        return error
    raise AssertionError(f"expected an error, got {result!r}")


@contextmanager
def directory_as_before(endpoint: Endpoint) -> Iterator[None]:
    """
    If the address is a file whose directory is made meanwhile, that is removed at the end: it was the free address that
    a listener took, its private directory has gone with it, and the next listener there had to make it again.
    """
    directory = os.path.dirname(urlsplit(endpoint.url).path)
    was_there = os.path.isdir(directory)
    try:
        yield
    finally:
        if not was_there:
            with suppress(OSError):
                os.rmdir(directory)
