"""
What the tests of gRPC share: a transport, and a plugin written by hand.
"""

from __future__ import annotations

import gc
import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import anyio
import pytest

from remora import Call, Code, Endpoint, PluginError, Reply, Status
from remora.protocols import Transport
from remora.wire import HEALTH_SERVICE, encode_health
from remora_grpc.plugin import GrpcOptions, build

# The tests import grpcio themselves, before the transport can quiet it (see `remora_grpc.plugin.build`).
os.environ.setdefault("GRPC_VERBOSITY", "NONE")


@dataclass
class EchoPlugin:
    """
    A dispatch that answers by the method's name and remembers what it saw.
    """

    calls: list[Call] = field(default_factory=list)
    peers: list[str] = field(default_factory=list)
    entered: anyio.Event = field(default_factory=anyio.Event)
    cancelled: anyio.Event = field(default_factory=anyio.Event)
    released: anyio.Event = field(default_factory=anyio.Event)

    async def __call__(self, call: Call, peer: str, /) -> Reply:
        self.calls.append(call)
        self.peers.append(peer)
        if call.service == HEALTH_SERVICE:
            return Reply(payload=encode_health(Status.HEALTHY), content_type="application/proto")
        answer = getattr(self, call.method, self.echo)
        reply: Reply = await answer(call)
        return reply

    async def echo(self, call: Call) -> Reply:
        return Reply(payload=call.payload, content_type=call.content_type, headers=call.headers)

    async def refuse(self, call: Call) -> Reply:
        details = {"user": 7, "tried": ["a", "b"], "deep": {"is": True}}
        headers = {"x-why": "because"}
        raise PluginError("no such üser", code=Code.NOT_FOUND, details=details, headers=headers)

    async def refuse_for_now(self, call: Call) -> Reply:
        raise PluginError("not now", code=Code.UNAVAILABLE, retry_after=1.5)

    async def fail(self, call: Call) -> Reply:
        raise KeyError("secret")

    async def grow(self, call: Call) -> Reply:
        return Reply(payload=bytes(int(call.payload)), content_type=call.content_type)

    async def hold(self, call: Call) -> Reply:
        self.entered.set()
        await self.released.wait()
        return Reply(payload=b"held", content_type=call.content_type)

    async def hang(self, call: Call) -> Reply:
        self.entered.set()
        try:
            await anyio.sleep_forever()
        finally:
            self.cancelled.set()
        raise AssertionError("unreachable")


@pytest.fixture
def plugin() -> EchoPlugin:
    """
    A plugin for one test.
    """
    return EchoPlugin()


@pytest.fixture
def transport() -> Transport:
    """
    The transport as the registry would build it.
    """
    return build(GrpcOptions())


@pytest.fixture
def free() -> Endpoint:
    """
    An endpoint that asks for any free address.
    """
    return Endpoint("grpc:")


@pytest.fixture(autouse=True)
def _no_thread_is_left(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.WARNING):
        yield

    gc.collect()  # before its version 1.84 grpcio's errors are part of cycles that hold the thread
    assert [] == [thread.name for thread in threading.enumerate() if _is_grpcs(thread.name) and _stays(thread)]
    assert [] == [record for record in caplog.records if record.name in ("asyncio", "grpc._cython.cygrpc")]


def _stays(thread: threading.Thread) -> bool:
    thread.join(1)  # it may be in its last step
    return thread.is_alive()


def _is_grpcs(thread: str) -> bool:
    # grpcio's own thread ends with the last object of grpc.aio; one that outlived its loop would fail much later.
    return thread == "remora-grpc" or "_poll_wrapper" in thread
